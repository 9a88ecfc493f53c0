"""``quantize``: a model's projections as int8, calibrated, balanced, rounded and chosen by drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from stonnx.artifact import Fidelity
from stonnx.artifact.fidelity_class import CLASSES
from stonnx.artifact.manifest import FidelityClass
from stonnx.graph import Blueprint, WeightFile, author_graph
from stonnx.graph.dialects import OrtCpuInt8
from stonnx.graph.heads import OpenWeights
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize.calibration import observe
from stonnx.quantize.projections import Candidate, quantize_projections
from stonnx.quantize.selection import Selection, select_float
from stonnx.quantize.sessions import embed_rows
from stonnx.runtime.tokenize import TokenRows
from stonnx.verify.metrics import compare

__all__ = ["Bench", "OnStep", "Quantized", "quantize"]

_TRIAL = "trial.onnx"
_MOST_FLOAT = 1 / 2  # of the projections; with more of them in float32 little would be left of the gain

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
class Quantized:
    """A quantised model.

    Attributes:
        limit: Largest absolute integer weight.
        projections: What is int8; the rest stays in float32.
        float_sites: The projections that stay in float32, by the weight name of their first map.
        selection: The fidelity that was measured with it, on texts that calibration never saw.
    """

    limit: int
    projections: QuantizedProjections
    float_sites: tuple[str, ...]
    selection: Selection


def quantize(
    bench: Bench,
    *,
    calibration: TokenRows,
    held_out: TokenRows,
    limits: Sequence[int],
    wanted: FidelityClass = "high",
    on_step: OnStep | None = None,
) -> tuple[Quantized, ...]:
    """Quantise a model to int8 with each of the weight limits.

    Args:
        bench: The model.
        calibration: Token rows whose statistics fix ranges, balance and rounding.
        held_out: Token rows that decide how much stays in float32, and that calibration does not see.
        limits: ``FULL_RANGE``, ``SEVEN_BITS`` or both.
        wanted: The class to reach; where no choice does, the next lower one, and so on.
        on_step: Called with a short sentence before each step.

    Returns:
        One model per limit. Its ``selection.reached`` is None when it is below every class.

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
    by_limit = list(zip(*quantize_projections(observation, bench.blueprint.parameters, limits), strict=True))
    found = []
    for limit, candidates in zip(limits, by_limit, strict=True):
        step(f"measuring drift with weights of {limit.bit_length() + (limit & (limit - 1) != 0)} bits")
        found.append(_select(bench, limit, candidates, held_out, wanted))
    return tuple(found)


def _select(
    bench: Bench, limit: int, candidates: Sequence[Candidate], rows: TokenRows, wanted: FidelityClass
) -> Quantized:
    """Decide by measured drift what stays in float32."""
    dimension = bench.blueprint.dimension
    projections = {candidate.site: candidate.projection for candidate in candidates}
    ranked = [c.site for c in sorted(candidates, key=lambda candidate: -candidate.noise)]
    target = embed_rows(bench.float_graph, rows, dimension=dimension)

    def measure(sites: frozenset[str]) -> Fidelity:
        kept = {site: projection for site, projection in projections.items() if site not in sites}
        path = bench.folder / _TRIAL
        data = path.with_name(f"{_TRIAL}_data")
        try:
            with WeightFile(data) as weights:
                dialect = OrtCpuInt8(kept, unsigned_weights=True)
                onnx.save(author_graph(bench.blueprint, dialect, weights, bench.open_weights).model, path)
            return compare(embed_rows(path, rows, dimension=dimension), target).fidelity
        finally:
            path.unlink(missing_ok=True)
            data.unlink(missing_ok=True)

    most = int(len(ranked) * _MOST_FLOAT)
    selection = select_float(ranked, measure, wanted=wanted, most=most)
    for weaker in CLASSES[CLASSES.index(wanted) + 1 :]:
        if selection.reached is not None:
            break
        selection = select_float(ranked, measure, wanted=weaker, most=most)
    kept = {site: projection for site, projection in projections.items() if site not in selection.sites}
    sites = tuple(site for site in projections if site in selection.sites)
    return Quantized(limit=limit, projections=kept, float_sites=sites, selection=selection)


def _silent(_: str) -> None:
    """Library code says nothing by itself."""
