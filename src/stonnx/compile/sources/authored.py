"""Graphs in float that stonnx authors from the weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stonnx._steps import Telling
from stonnx.artifact import Graph
from stonnx.compile.catalogue import FLOAT_ROWS, FLOAT_WEIGHTS, Row
from stonnx.compile.sources.base import Written, as_variant, write_graph
from stonnx.graph.dialects import CannotWriteError
from stonnx.quantize import Workspace

__all__ = ["AuthoredFloat"]


@dataclass(frozen=True, kw_only=True)
class AuthoredFloat:
    """The float variants of a model.

    Attributes:
        workspace: The model; its weight file is ``FLOAT_WEIGHTS``.
        rows: The variants.
    """

    workspace: Workspace
    rows: tuple[Row, ...] = FLOAT_ROWS

    def write(self, staging: Path, *, tell: Telling) -> Written:  # noqa: ARG002 - it is quick
        """Write each graph once; a variant whose dialect cannot write the model is left out."""
        graphs: dict[str, Graph] = {}
        variants, notes = [], []
        for row in self.rows:
            try:
                graph = graphs.get(row.file) or write_graph(row, {}, self.workspace, staging, self.workspace.weights)
            except CannotWriteError as exc:
                notes.append(f"{row.name} was left out: {exc.message}")
                continue
            graphs[row.file] = graph
            variants.append(as_variant(row, graph, FLOAT_WEIGHTS, fidelity_class=row.fidelity_class))
        return Written(variants=tuple(variants), notes=tuple(notes))
