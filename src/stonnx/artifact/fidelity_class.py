"""Fidelity classes: what a variant's figures must be to be called lossless, high or balanced.

Measured against the original model (or its fp32 variant) on texts, or on pairs, that no calibration has seen:

    classify(fidelity)  # "high"
    class_failures(fidelity, "lossless")  # ("mean cosine 0.99950 is below 0.9999",)
    keeps("high", "balanced")  # True
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from stonnx.artifact.manifest import Fidelity, FidelityClass, ScoreFidelity

__all__ = [
    "BOUNDS",
    "CLASSES",
    "SCORE_BOUNDS",
    "AnyFidelity",
    "Bounds",
    "MeasuredClass",
    "ScoreBounds",
    "allowed_losses",
    "class_failures",
    "classify",
    "closeness",
    "keeps",
]

AnyFidelity = Fidelity | ScoreFidelity
"""The figures of a variant: of embeddings, or of a reranker's scores."""

MeasuredClass = Literal["lossless", "high", "balanced"]

CLASSES: tuple[FidelityClass, ...] = ("exact", "lossless", "high", "balanced")
"""The closest first: each keeps what those after it promise."""


class Bounds(NamedTuple):
    """The lowest figures of embeddings: mean and lowest cosine, mean share of equal top-10 neighbours."""

    cosine_mean: float
    cosine_min: float
    top10_overlap: float


class ScoreBounds(NamedTuple):
    """The bounds of scores: highest mean and largest difference of probabilities, lowest share of equal top-10."""

    mean_abs_diff: float
    max_abs_diff: float
    top10_overlap: float


BOUNDS: dict[MeasuredClass, Bounds] = {
    "lossless": Bounds(0.9999, 0.99, 0.99),  # the lowest cosine is that of "high": no class is below the next one
    "high": Bounds(0.999, 0.99, 0.97),
    "balanced": Bounds(0.997, 0.97, 0.95),
}

SCORE_BOUNDS: dict[MeasuredClass, ScoreBounds] = {
    "lossless": ScoreBounds(0.0015, 0.05, 0.99),
    "high": ScoreBounds(0.005, 0.1, 0.97),
    "balanced": ScoreBounds(0.01, 0.2, 0.95),
}


class _Figure(NamedTuple):
    """A figure that a class bounds: its name, what messages call it, and the value that nothing is lost at."""

    name: str
    label: str
    best: float


_FIGURES: dict[type, tuple[_Figure, ...]] = {
    Fidelity: (
        _Figure("cosine_mean", "mean cosine", 1.0),
        _Figure("cosine_min", "lowest cosine", 1.0),
        _Figure("top10_overlap", "top-10 overlap", 1.0),
    ),
    ScoreFidelity: (
        _Figure("mean_abs_diff", "mean difference", 0.0),
        _Figure("max_abs_diff", "largest difference", 0.0),
        _Figure("top10_overlap", "top-10 overlap", 1.0),
    ),
}

_NO_ALLOWANCE: Mapping[str, float] = MappingProxyType({})


def classify(fidelity: AnyFidelity) -> MeasuredClass | None:
    """The best class that the figures keep; None for none.

    ``exact`` is never the answer: that one is held to the tolerance of ``stonnx.verify``.
    """
    return next((name for name in BOUNDS if not class_failures(fidelity, name)), None)


def class_failures(
    fidelity: AnyFidelity,
    name: MeasuredClass,
    *,
    room: float = 1.0,
    allowance: Mapping[str, float] = _NO_ALLOWANCE,
) -> tuple[str, ...]:
    """One sentence per figure that is worse than its bound of the class; empty when the class is kept.

    Args:
        fidelity: The figures.
        name: The class.
        room: The part of what the class allows to be lost that may be used up: less than 1 for a class that is also to
            be kept on other texts.
        allowance: By the name of a figure, how far it may be worse than its bound; negative where it has to be better
            by so much. A figure that is not named has no allowance.
    """
    limits = _limits(type(fidelity), name)
    failures = []
    for figure in _FIGURES[type(fidelity)]:
        value, allowed = getattr(fidelity, figure.name), allowance.get(figure.name, 0.0)
        bound = figure.best - room * (figure.best - limits[figure.name])
        is_low = figure.best > limits[figure.name]
        # Not "<" or ">": a figure that is not a number keeps no bound.
        if not (value >= bound - allowed if is_low else value <= bound + allowed):
            side, by = "below" if is_low else "above", f" by more than {allowed:.5f}" if allowed > 0 else ""
            failures.append(f"{figure.label} {value:.5f} is {side} {bound:g}{by}")
    return tuple(failures)


def closeness(fidelity: AnyFidelity) -> float:
    """One figure to order variants of one model by: the mean cosine, or 1 less the mean difference; 1 is the best."""
    return fidelity.cosine_mean if isinstance(fidelity, Fidelity) else 1.0 - fidelity.mean_abs_diff


def allowed_losses(figures: type[AnyFidelity], name: MeasuredClass) -> tuple[float, float]:
    """What a class allows to be lost on average and by the worst text or pair: of its cosine, or of its probability.

    Args:
        figures: ``Fidelity`` or ``ScoreFidelity``.
        name: The class.
    """
    mean, worst, _ = _FIGURES[figures]
    limits = _limits(figures, name)
    return abs(mean.best - limits[mean.name]), abs(worst.best - limits[worst.name])


def keeps(found: FidelityClass | None, wanted: FidelityClass) -> bool:
    """Whether a variant of class ``found`` (None: worse than all of them) is as close as ``wanted`` asks."""
    return found is not None and CLASSES.index(found) <= CLASSES.index(wanted)


def _limits(figures: type, name: MeasuredClass) -> dict[str, float]:
    bounds = SCORE_BOUNDS[name] if figures is ScoreFidelity else BOUNDS[name]
    return bounds._asdict()
