"""Runs the float32 model on calibration texts, layer by layer, and watches the inputs of every projection.

The statistics of one layer are as large as its weights, so they come and go with the layer::

    with Runner(workspace.folder) as runner:
        for observation in observe(workspace, rows, runner):
            quantize_layer(observation.projections, observation.statistics, workspace.blueprint.parameters)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from stonnx.graph.blocks import Projection
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import OrtCpu
from stonnx.graph.folding import NOTHING_FOLDED, Folded
from stonnx.graph.parameters import Parameters
from stonnx.graph.sections import NEXT_HIDDEN_STATE, author_embeddings, author_layers_section
from stonnx.quantize.sessions import Batch, Runner, firsts, make_batches
from stonnx.quantize.statistics import InputStatistics
from stonnx.quantize.workspace import Workspace
from stonnx.runtime.token_rows import TokenRows

__all__ = ["Observation", "chunks", "observe"]

_SAMPLE_EVERY = 16  # tokens
_CHUNK_TOKENS = 4096  # a product of so many tokens with themselves takes half the time of many small ones


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What the calibration texts showed of a layer, or of all layers that share weights.

    Attributes:
        layers: The sites of each of these layers, in graph order, by its number, from 0.
        projections: Every projection of theirs, by its site, in graph order.
        statistics: The inputs of every projection, by its site.
    """

    layers: Mapping[int, Sequence[str]]
    projections: Mapping[str, Projection]
    statistics: Mapping[str, InputStatistics]


class _Tapped(OrtCpu):
    """The float32 graph, with the input of every projection as an output."""

    def __init__(self) -> None:
        super().__init__()
        self.projections: dict[str, Projection] = {}

    def project(
        self, g: GraphBuilder, p: Parameters, x: str, block: Projection, folded: Folded = NOTHING_FOLDED
    ) -> tuple[str, ...]:
        """As in float32; the input becomes an output named after the site."""
        self.projections[block.site] = block
        g.output(x, _tap(block.site), ("rows", "tokens", "width"))
        return super().project(g, p, x, block, folded)


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """A layer with taps."""

    graph: onnx.ModelProto
    projections: Mapping[str, Projection]

    @property
    def weights(self) -> frozenset[str]:
        """The weights of its projections."""
        return frozenset(linear.weight for block in self.projections.values() for linear in block.linears)


@dataclass
class _Tally:
    """The statistics so far."""

    energy: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    sample: list[NDArray[np.float32]]
    tokens: int = 0

    @classmethod
    def empty(cls, width: int) -> _Tally:
        nothing = np.full(width, np.inf, dtype=np.float32)
        return cls(np.zeros((width, width), dtype=np.float32), nothing, -nothing, [])

    def add(self, inputs: Sequence[NDArray[np.float32]]) -> None:
        """Add the inputs of some batches, each of shape (rows, tokens, width)."""
        parts = [x.reshape(-1, x.shape[-1]) for x in inputs]  # (rows, tokens, width) -> (all tokens, width)
        x = np.concatenate(parts)
        self.energy += x.T @ x
        self.low = np.minimum(self.low, x.min(axis=0))
        self.high = np.maximum(self.high, x.max(axis=0))
        self.sample.extend(part[::_SAMPLE_EVERY].copy() for part in parts)
        self.tokens += len(x)

    def done(self) -> InputStatistics:
        return InputStatistics(self.energy, self.low, self.high, self.tokens, np.concatenate(self.sample))


def observe(workspace: Workspace, rows: TokenRows, runner: Runner) -> Iterator[Observation]:
    """Run the model on token rows and gather the statistics of every projection's input.

    Args:
        workspace: The model; only what its weight file lacks is added there.
        rows: The calibration texts as token rows, at least one.
        runner: Runs the layers.

    Yields:
        What was seen of each layer, in order; of layers that share weights together, once the last of them has run.

    Raises:
        RunError: ONNX Runtime failed.
    """
    layers = [_author(workspace, number) for number in range(workspace.blueprint.encoder.layer_count)]
    batches = make_batches(rows)
    graph = author_embeddings(workspace.blueprint, OrtCpu(), workspace.weights)
    workspace.weights.flush()
    hidden = firsts(runner.run(runner.open(graph), batches, names=[NEXT_HIDDEN_STATE]))
    waiting: dict[str, InputStatistics] = {}
    for number, layer in enumerate(layers):
        waiting |= _watch(layer, batches, hidden, runner)
        sharing = [other for other, found in enumerate(layers) if found.weights & layer.weights]
        if number == sharing[-1]:
            projections = {site: block for other in sharing for site, block in layers[other].projections.items()}
            yield Observation(
                layers={other: tuple(layers[other].projections) for other in sharing},
                projections=projections,
                statistics={site: waiting.pop(site) for site in projections},
            )


def _author(workspace: Workspace, number: int) -> _Layer:
    dialect = _Tapped()
    layers = range(number, number + 1)
    graph = author_layers_section(workspace.blueprint, dialect, workspace.weights, layers)
    return _Layer(graph=graph, projections=dialect.projections)


def _watch(
    layer: _Layer, batches: Sequence[Batch], hidden: list[NDArray[np.float32]], runner: Runner
) -> dict[str, InputStatistics]:
    """The statistics of a layer's projections, by site; what the layer gives takes the place of what it took."""
    session = runner.open(layer.graph)
    names = [NEXT_HIDDEN_STATE, *map(_tap, layer.projections)]
    tallies: dict[str, _Tally] = {}
    for some in chunks(batches, tokens=_CHUNK_TOKENS):
        outputs = runner.run(session, batches[some], names=names, hidden=hidden[some])
        hidden[some] = firsts(outputs)
        for place, site in enumerate(layer.projections, 1):
            inputs = [found[place] for found in outputs]
            tallies.setdefault(site, _Tally.empty(inputs[0].shape[-1])).add(inputs)
    return {site: tally.done() for site, tally in tallies.items()}


def chunks(batches: Sequence[Batch], *, tokens: int) -> Iterator[slice]:
    """Neighbouring batches, each time as few as have a number of tokens together; the last may have fewer.

    Args:
        batches: Any number of them.
        tokens: How many there should be.
    """
    start = gathered = 0
    for stop, batch in enumerate(batches, 1):
        gathered += batch.tokens
        if gathered >= tokens or stop == len(batches):
            yield slice(start, stop)
            start, gathered = stop, 0


def _tap(site: str) -> str:
    return f"input/{site}"
