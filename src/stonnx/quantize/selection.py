"""How closely each projection is computed: as cheaply as the wanted fidelity allows, by measured drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact.fidelity_class import AnyFidelity, class_failures, classify
from stonnx.quantize.projections import Candidate

__all__ = ["Drift", "QuantizedClass", "Rung", "Selection", "closer_rungs", "float_rungs", "select_rungs"]

# Of what a class allows to be lost: the held-out rows are few, and others are to keep the class as well. With more
# to spare, chance would decide: over a hundred texts it moves the overlap of neighbours by half a percent.
_ROOM = 0.9
_MOST_FLOAT = 1 / 2  # of the projections; with more of them in float32 little would be left of the gain

QuantizedClass = Literal["lossless", "high", "balanced"]


class Rung(NamedTuple):
    """One projection computed more closely: its input is quantised more closely, or all of it stays in float32."""

    site: str
    kind: Literal["closer", "float32"]


Measure = Callable[[tuple[Rung, ...]], AnyFidelity]
"""The fidelity of the model with these rungs taken."""

Drift = Mapping[str, NDArray[np.float32]]
"""By site: how far each of some rows is off where that projection alone is int8, shape (rows,)."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The rungs taken, and what that gives.

    Attributes:
        rungs: From the cheapest model to this one.
        fidelity: Measured against the float32 graph on rows that calibration never saw.
        reached: The class of that; None when it is below all of them.
    """

    rungs: tuple[Rung, ...]
    fidelity: AnyFidelity
    reached: QuantizedClass | None


def closer_rungs(candidates: Sequence[Candidate]) -> tuple[Rung, ...]:
    """Closer inputs, the most worth taking first: by the error that they save per number that goes in and out."""
    movable = [candidate for candidate in candidates if candidate.closer_noise < candidate.noise]
    movable.sort(key=lambda candidate: (candidate.closer_noise - candidate.noise) / candidate.activations)
    return tuple(Rung(candidate.site, "closer") for candidate in movable)


def float_rungs(candidates: Sequence[Candidate], drift: Drift, *, allowed: tuple[float, float]) -> tuple[Rung, ...]:
    """Projections to keep in float32, the most worth keeping first; up to half of all.

    What a projection is worth is its share of what the class allows to be lost: of the mean, and of the row that
    suffers the most. It costs the gain of int8 in each of its multiplications.

    Args:
        candidates: All projections.
        drift: Of each.
        allowed: What the class allows to be lost on average and by the worst row (``allowed_losses``).
    """
    allowed_mean, allowed_worst = allowed

    def worth(candidate: Candidate) -> float:
        lost = drift[candidate.site]
        shares = float(lost.mean()) / allowed_mean + float(lost.max()) / allowed_worst
        return shares / candidate.weights

    ordered = sorted(candidates, key=worth, reverse=True)
    return tuple(Rung(candidate.site, "float32") for candidate in ordered[: int(len(ordered) * _MOST_FLOAT)])


def select_rungs(
    stages: Sequence[Callable[[], Sequence[Rung]]], measure: Measure, *, wanted: QuantizedClass
) -> Selection | None:
    """Take as few rungs as bisections find to reach a class with some of its room to spare.

    Args:
        stages: Each gives rungs, the best first; asked only where all rungs of those before it do not suffice.
        measure: Measures one choice; asked about ``log2(number of rungs)`` times, never twice about the same.
        wanted: The class to reach.

    Returns:
        The smallest choice found that reaches the class; None where all rungs together do not.
    """

    def attempt(taken: tuple[Rung, ...]) -> tuple[Selection, bool]:
        fidelity = measure(taken)
        found = Selection(rungs=taken, fidelity=fidelity, reached=classify(fidelity))
        return found, not class_failures(fidelity, wanted, room=_ROOM)

    taken: tuple[Rung, ...] = ()
    best, enough = attempt(taken)
    for rungs in stages:
        if enough:
            return best
        more = tuple(rungs())
        if more:
            best, enough = _bisect(attempt, taken, more)
        taken = (*taken, *more)
    return best if enough else None


def _bisect(
    attempt: Callable[[tuple[Rung, ...]], tuple[Selection, bool]], taken: tuple[Rung, ...], more: tuple[Rung, ...]
) -> tuple[Selection, bool]:
    """The fewest of ``more`` that are enough, where ``taken`` is not; all of them where even they are not."""
    best, enough = attempt((*taken, *more))
    fewest, number = 0, len(more)
    while enough and number - fewest > 1:
        middle = (fewest + number) // 2
        found, is_enough = attempt((*taken, *more[:middle]))
        if is_enough:
            best, number = found, middle
        else:
            fewest = middle
    return best, enough
