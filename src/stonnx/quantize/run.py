"""``quantize``: a model's projections as int8, calibrated, balanced, rounded and chosen by drift."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from stonnx.quantize.calibration import observe
from stonnx.quantize.projections import quantize_projections
from stonnx.quantize.rounding import FULL_RANGE
from stonnx.quantize.selection import QuantizedClass
from stonnx.quantize.sessions import embed_rows
from stonnx.quantize.trials import HeldOut, OnStep, Quantized, open_trials
from stonnx.quantize.workbench import Workbench
from stonnx.runtime.tokenize import TokenRows

__all__ = ["Target", "quantize"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a quantised model is to be.

    Attributes:
        limit: Largest absolute integer weight: ``FULL_RANGE`` or ``SEVEN_BITS``.
        wanted: Fidelity classes in the order of preference: the first one that can be reached decides.
    """

    limit: int
    wanted: tuple[QuantizedClass, ...]


def quantize(
    bench: Workbench,
    *,
    calibration: TokenRows,
    held_out: TokenRows,
    natural: int,
    targets: Sequence[Target],
    on_step: OnStep | None = None,
) -> tuple[Quantized, ...]:
    """Quantise a model to int8.

    Args:
        bench: The model.
        calibration: Token rows whose statistics fix ranges, balance and rounding.
        held_out: Token rows that decide how closely each projection is computed, and that calibration does not see.
        natural: How many of them, from the first, decide on means; the odd ones behind count for the lowest cosine.
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
    vectors = embed_rows(bench.float_graph, held_out, dimension=bench.blueprint.dimension)
    texts = HeldOut(rows=held_out, vectors=vectors, natural=natural)
    found = []
    with ExitStack() as stack:
        trials = {
            limit: stack.enter_context(open_trials(bench, candidates, texts, name=f"trial_{limit}", on_step=step))
            for limit, candidates in zip(limits, by_limit, strict=True)
        }
        for target in targets:
            bits = 8 if target.limit == FULL_RANGE else 7
            step(f"choosing what weights of {bits} bits need for the class {' or '.join(target.wanted)}")
            found.append(trials[target.limit].select(target.wanted))
    return tuple(found)


def _silent(_: str) -> None:
    """Library code says nothing by itself."""
