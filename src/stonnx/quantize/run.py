"""``quantize``: a model's projections as int8, calibrated, balanced, rounded and chosen by drift."""

from __future__ import annotations

from collections.abc import Sequence

from stonnx.quantize.calibration import observe
from stonnx.quantize.projections import quantize_projections
from stonnx.quantize.selection import QuantizedClass
from stonnx.quantize.sessions import embed_rows
from stonnx.quantize.trials import HeldOut, OnStep, Quantized, open_trials
from stonnx.quantize.workbench import Workbench
from stonnx.runtime.tokenize import TokenRows

__all__ = ["quantize"]


def quantize(
    bench: Workbench,
    *,
    calibration: TokenRows,
    held_out: TokenRows,
    natural: int,
    targets: Sequence[Sequence[QuantizedClass]],
    on_step: OnStep | None = None,
) -> tuple[Quantized, ...]:
    """Quantise a model to int8.

    Args:
        bench: The model.
        calibration: Token rows whose statistics fix ranges, balance and rounding.
        held_out: Token rows that decide how closely each projection is computed, and that calibration does not see.
        natural: How many of them, from the first, decide on means; the odd ones behind count for the lowest cosine.
        targets: For each model to make, fidelity classes in the order of preference: the first one that can be
            reached decides.
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
    candidates = tuple(quantize_projections(observation, bench.blueprint.parameters))
    vectors = embed_rows(bench.float_graph, held_out, dimension=bench.blueprint.dimension)
    texts = HeldOut(rows=held_out, vectors=vectors, natural=natural)
    found = []
    with open_trials(bench, candidates, texts, on_step=step) as trials:
        for wanted in targets:
            step(f"choosing what the class {' or '.join(wanted)} needs")
            found.append(trials.select(wanted))
    return tuple(found)


def _silent(_: str) -> None:
    """Library code says nothing by itself."""
