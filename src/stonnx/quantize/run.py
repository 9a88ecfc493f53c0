"""``quantize``: a model's projections as int8, calibrated, balanced, rounded and chosen by drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from stonnx.artifact import Fidelity
from stonnx.artifact.fidelity_class import classify
from stonnx.graph import Blueprint, WeightFile, author_graph
from stonnx.graph.dialects import OrtCpuInt8
from stonnx.graph.heads import OpenWeights
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize.calibration import observe
from stonnx.quantize.projections import Candidate, quantize_projections
from stonnx.quantize.rounding import FULL_RANGE
from stonnx.quantize.selection import QuantizedClass, Selection, Step, select_steps, steps_by_gain
from stonnx.quantize.sessions import embed_rows
from stonnx.runtime.tokenize import TokenRows
from stonnx.verify.metrics import compare

__all__ = ["Bench", "OnStep", "Quantized", "Target", "quantize"]

_TRIAL = "trial.onnx"

OnStep = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The model on the work bench, and where its graphs are tried.

    Attributes:
        blueprint: The model.
        folder: Folder of the graphs; trial graphs come and go there.
        weights: The weight file of the float32 graphs, in ``folder``.
        float_graph: The float32 graph without a mask, in ``folder``: what drift is measured against.
        open_weights: Opens the weights of a head module's sub-folder.
    """

    blueprint: Blueprint
    folder: Path
    weights: WeightFile
    float_graph: Path
    open_weights: OpenWeights


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a quantised model is to be.

    Attributes:
        limit: Largest absolute integer weight: ``FULL_RANGE`` or ``SEVEN_BITS``.
        wanted: Fidelity classes in the order of preference: the first one that can be reached decides.
    """

    limit: int
    wanted: tuple[QuantizedClass, ...]


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """A quantised model.

    Attributes:
        projections: What is int8; the rest stays in float32.
        selection: The steps taken from the cheapest model to this one, and the fidelity that was measured with
            it, on texts that calibration never saw.
    """

    projections: QuantizedProjections
    selection: Selection


def quantize(
    bench: Bench,
    *,
    calibration: TokenRows,
    held_out: TokenRows,
    targets: Sequence[Target],
    on_step: OnStep | None = None,
) -> tuple[Quantized, ...]:
    """Quantise a model to int8.

    Args:
        bench: The model.
        calibration: Token rows whose statistics fix ranges, balance and rounding.
        held_out: Token rows that decide how closely each projection is computed, and that calibration does not see.
        targets: The models to make.
        on_step: Called with a short sentence before each step.

    Returns:
        One model per target, as cheap as its class allows. Where no class can be reached, the cheapest there is;
        its ``selection.reached`` may be None.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        RunError: ONNX Runtime failed.
    """
    step = on_step or _silent
    step("watching the inputs of every layer on the calibration texts")
    observation = observe(
        bench.blueprint, calibration, folder=bench.folder, weights=bench.weights, open_weights=bench.open_weights
    )
    step("rounding the weights")
    limits = tuple(dict.fromkeys(target.limit for target in targets))
    by_limit = zip(*quantize_projections(observation, bench.blueprint.parameters, limits), strict=True)
    target_vectors = embed_rows(bench.float_graph, held_out, dimension=bench.blueprint.dimension)
    trials = {
        limit: _Trials(bench, candidates, held_out, target_vectors)
        for limit, candidates in zip(limits, by_limit, strict=True)
    }
    found = []
    for target in targets:
        bits = 8 if target.limit == FULL_RANGE else 7
        step(f"measuring drift with weights of {bits} bits, for the class {' or '.join(target.wanted)}")
        found.append(trials[target.limit].select(target.wanted))
    return tuple(found)


class _Trials:
    """The models that can be made with one limit, measured on demand."""

    def __init__(
        self, bench: Bench, candidates: Sequence[Candidate], rows: TokenRows, vectors: NDArray[np.float32]
    ) -> None:
        self._bench = bench
        self._candidates = {candidate.site: candidate for candidate in candidates}
        self._rows = rows
        self._vectors = vectors
        self._measured: dict[tuple[Step, ...], Fidelity] = {}

    def select(self, wanted: Sequence[QuantizedClass]) -> Quantized:
        """The cheapest model of the first class that can be reached."""
        steps = steps_by_gain(tuple(self._candidates.values()))
        attempts = (select_steps(steps, self._fidelity, wanted=name) for name in wanted)
        selection = next((found for found in attempts if found is not None), None)
        if selection is None:
            fidelity = self._fidelity(())
            selection = Selection(steps=(), fidelity=fidelity, reached=classify(fidelity))
        return Quantized(projections=_projections(self._candidates, selection.steps), selection=selection)

    def _fidelity(self, taken: tuple[Step, ...]) -> Fidelity:
        if taken not in self._measured:
            self._measured[taken] = self._measure(taken)
        return self._measured[taken]

    def _measure(self, taken: tuple[Step, ...]) -> Fidelity:
        bench = self._bench
        path = bench.folder / _TRIAL
        data = path.with_name(f"{_TRIAL}_data")
        try:
            with WeightFile(data) as weights:
                dialect = OrtCpuInt8(_projections(self._candidates, taken), unsigned_weights=True)
                onnx.save(author_graph(bench.blueprint, dialect, weights, bench.open_weights).model, path)
            return compare(embed_rows(path, self._rows, dimension=self._vectors.shape[1]), self._vectors).fidelity
        finally:
            path.unlink(missing_ok=True)
            data.unlink(missing_ok=True)


def _projections(by_site: Mapping[str, Candidate], taken: Sequence[Step]) -> QuantizedProjections:
    """What is int8 with these steps taken, and how."""
    found = {site: candidate.projection for site, candidate in by_site.items()}
    for step in taken:
        if step.kind == "per token":
            found[step.site] = by_site[step.site].closer
        else:
            found.pop(step.site)
    return found


def _silent(_: str) -> None:
    """Library code says nothing by itself."""
