"""A model that runs section by section, each layer with a choice of its own of what is int8."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from stonnx.graph import WeightFile
from stonnx.graph.builder import WeightOverlay
from stonnx.graph.dialects import OrtCpuInt8
from stonnx.graph.quantized import QuantizedProjections
from stonnx.graph.sections import NEXT_HIDDEN_STATE, author_embeddings, author_head, author_layers_section
from stonnx.quantize.sessions import Batch, Hidden, Runner, Session, firsts, gather_rows
from stonnx.quantize.workspace import Workspace

__all__ = ["LayeredModel"]


class LayeredModel:
    """The sections of a model, opened when they are run.

    The session of each section that ran last stays open: most layers of a trial are as in the one before it.

    Args:
        workspace: The model.
        runner: Opens and runs the sections.
        weights: Gets the tensors that the float32 graphs lack, in the workspace's folder.
    """

    def __init__(self, workspace: Workspace, runner: Runner, weights: WeightFile) -> None:
        self._workspace = workspace
        self._runner = runner
        self._weights = WeightOverlay(workspace.weights, weights)
        self._open: dict[str, tuple[bytes, Session]] = {}  # by section: its graph, and the session

    @property
    def layer_count(self) -> int:
        """Number of layers."""
        return self._workspace.blueprint.encoder.layer_count

    def embed(self, batches: Sequence[Batch]) -> Hidden:
        """What the first layer takes."""
        graph = author_embeddings(self._workspace.blueprint, OrtCpuInt8({}), self._weights)
        return firsts(self._runner.run(self._session("embeddings", graph), batches, names=[NEXT_HIDDEN_STATE]))

    def layer(self, number: int, batches: Sequence[Batch], hidden: Hidden, projections: QuantizedProjections) -> Hidden:
        """What a layer gives.

        Args:
            number: Which one, from 0.
            batches: What it runs on.
            hidden: What it takes.
            projections: What is int8 in it; sites of other layers may be there too.
        """
        layers = range(number, number + 1)
        graph = author_layers_section(self._workspace.blueprint, OrtCpuInt8(projections), self._weights, layers)
        return firsts(
            self._runner.run(self._session(f"layer {number}", graph), batches, names=[NEXT_HIDDEN_STATE], hidden=hidden)
        )

    def follow(self, number: int, batches: Sequence[Batch], streams: Sequence[Hidden]) -> list[Hidden]:
        """What a layer in float32 gives for several hidden states of the same batches: it runs once for all.

        Args:
            number: Which one, from 0.
            batches: What it runs on.
            streams: What it takes, any number of times.
        """
        together = [x for hidden in streams for x in hidden]
        after = self.layer(number, [*batches] * len(streams), together, {})
        return [after[start : start + len(batches)] for start in range(0, len(after), len(batches) or 1)]

    def head(self, batches: Sequence[Batch], hidden: Hidden, *, output: str, width: int) -> NDArray[np.float32]:
        """A result of the model for all rows of ``batches``, float32, shape (rows, width).

        Args:
            batches: All batches of some token rows.
            hidden: What the last layer gives.
            output: Name of the result.
            width: Length of its last axis.
        """
        session = self._session("head", self._head)
        found = firsts(self._runner.run(session, batches, names=[output], hidden=hidden))
        return gather_rows(batches, found, width=width)

    @functools.cached_property
    def _head(self) -> onnx.ModelProto:
        workspace = self._workspace
        return author_head(workspace.blueprint, OrtCpuInt8({}), self._weights, workspace.open_weights)

    def _session(self, section: str, graph: onnx.ModelProto) -> Session:
        """The graph, opened; for equal graphs the same session, as for float32 layers that share their weights."""
        key = graph.SerializeToString(deterministic=True)
        session = next((session for other, session in self._open.values() if other == key), None)
        if session is None:
            self._open.pop(section, None)  # its memory is free before the next one takes its own
            self._weights.flush()
            session = self._runner.open(graph)
        self._open[section] = key, session
        return session
