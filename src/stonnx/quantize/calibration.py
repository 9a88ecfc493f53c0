"""Runs the float32 graph on calibration texts and watches the inputs of every projection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from stonnx.graph import Blueprint, WeightFile, author_graph
from stonnx.graph.blocks import Projection
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import OrtCpu
from stonnx.graph.folding import NOTHING_FOLDED, Folded
from stonnx.graph.modules import OpenWeights
from stonnx.graph.parameters import Parameters
from stonnx.quantize.sessions import run_rows
from stonnx.quantize.statistics import InputStatistics
from stonnx.runtime.token_rows import TokenRows

__all__ = ["Observation", "observe"]

_GRAPH = "calibration.onnx"
_SAMPLE_EVERY = 16  # tokens


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What the calibration texts showed.

    Attributes:
        projections: Every projection, by its site.
        statistics: The inputs of every projection, by its site.
    """

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
        g.output(x, f"input/{block.site}", ("rows", "tokens", "width"))
        return super().project(g, p, x, block, folded)


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

    def add(self, x: NDArray[np.float32]) -> None:
        """Add inputs, shape (tokens, width)."""
        self.energy += x.T @ x
        self.low = np.minimum(self.low, x.min(axis=0))
        self.high = np.maximum(self.high, x.max(axis=0))
        self.sample.append(x[::_SAMPLE_EVERY].copy())
        self.tokens += len(x)

    def done(self) -> InputStatistics:
        return InputStatistics(self.energy, self.low, self.high, self.tokens, np.concatenate(self.sample))


def observe(
    blueprint: Blueprint,
    rows: TokenRows,
    *,
    folder: Path,
    weights: WeightFile,
    open_weights: OpenWeights,
) -> Observation:
    """Run the model on token rows and gather the statistics of every projection's input.

    Args:
        blueprint: The model.
        rows: The calibration texts as token rows, at least one.
        folder: The folder of ``weights``; a graph is written there and removed at the end.
        weights: The weight file of the float32 graphs; only what it lacks is added.
        open_weights: Opens the weights of a head module's sub-folder.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        RunError: ONNX Runtime failed.
    """
    dialect = _Tapped()
    graph = author_graph(blueprint, dialect, weights, open_weights)
    weights.flush()
    path = folder / _GRAPH
    tallies: dict[str, _Tally] = {}
    try:
        onnx.save(graph.model, path)
        for _, outputs in run_rows(path, rows, names=[f"input/{site}" for site in dialect.projections]):
            for site, x in zip(dialect.projections, outputs, strict=True):
                tally = tallies.setdefault(site, _Tally.empty(x.shape[-1]))
                tally.add(x.reshape(-1, x.shape[-1]))  # (rows, tokens, width) -> (tokens, width)
    finally:
        path.unlink(missing_ok=True)
    statistics = {site: tally.done() for site, tally in tallies.items()}
    return Observation(projections=dialect.projections, statistics=statistics)
