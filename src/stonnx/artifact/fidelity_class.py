"""Fidelity classes: what a variant's figures must be to be called lossless, high or balanced.

Measured against the original model (or its fp32 variant) on texts that no calibration has seen.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from stonnx.artifact.manifest import Fidelity, FidelityClass

__all__ = ["BOUNDS", "CLASSES", "Bounds", "MeasuredClass", "class_failures", "classify", "keeps"]

MeasuredClass = Literal["lossless", "high", "balanced"]

CLASSES: tuple[FidelityClass, ...] = ("exact", "lossless", "high", "balanced")
"""The closest first: each keeps what those behind it promise."""


class Bounds(NamedTuple):
    """The lowest figures of a class: mean and lowest cosine, mean share of equal top-10 neighbours."""

    cosine_mean: float
    cosine_min: float
    top10_overlap: float


_NO_ALLOWANCE = Bounds(0.0, 0.0, 0.0)

BOUNDS: dict[MeasuredClass, Bounds] = {
    "lossless": Bounds(0.9999, 0.99, 0.99),  # the lowest cosine is that of "high": no class is below the next one
    "high": Bounds(0.999, 0.99, 0.97),
    "balanced": Bounds(0.997, 0.97, 0.95),
}


def classify(fidelity: Fidelity) -> MeasuredClass | None:
    """The best class that the figures keep; None for none.

    ``exact`` is never the answer: that one is held to the tolerance of ``stonnx.verify``.
    """
    return next((name for name in BOUNDS if not class_failures(fidelity, name)), None)


def class_failures(
    fidelity: Fidelity,
    name: MeasuredClass,
    *,
    room: float = 1.0,
    allowance: Bounds = _NO_ALLOWANCE,
) -> tuple[str, ...]:
    """One sentence per figure that is below its bound of the class; empty when the class is kept.

    Args:
        fidelity: The figures.
        name: The class.
        room: The part of what the class allows to be lost that may be used up: below 1 for a class that is also to
            be kept on other texts.
        allowance: How far each figure may lie below its bound; negative where it has to lie above by so much.
    """
    bounds = BOUNDS[name]
    failures = []
    for label, value, least, allowed in (
        ("mean cosine", fidelity.cosine_mean, bounds.cosine_mean, allowance.cosine_mean),
        ("lowest cosine", fidelity.cosine_min, bounds.cosine_min, allowance.cosine_min),
        ("top-10 overlap", fidelity.top10_overlap, bounds.top10_overlap, allowance.top10_overlap),
    ):
        bound = 1 - room * (1 - least)
        if not value >= bound - allowed:  # NaN is below every bound
            by = f" by more than {allowed:.5f}" if allowed > 0 else ""
            failures.append(f"{label} {value:.5f} is below {bound:g}{by}")
    return tuple(failures)


def keeps(found: FidelityClass | None, wanted: FidelityClass) -> bool:
    """Whether a variant of class ``found`` (None: below all of them) is as close as ``wanted`` asks."""
    return found is not None and CLASSES.index(found) <= CLASSES.index(wanted)
