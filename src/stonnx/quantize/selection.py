"""How closely each projection is computed: as cheaply as the wanted fidelity allows, by measured drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Fidelity
from stonnx.artifact.fidelity_class import BOUNDS, class_failures, classify
from stonnx.quantize.projections import Candidate

__all__ = ["Drift", "QuantizedClass", "Selection", "Step", "closer_steps", "float_steps", "select_steps"]

# Of what a class allows to be lost: the held-out texts are few, and others are to keep the class as well. More to spare
# would go to chance: over a hundred texts it moves the overlap of neighbours by half a percent.
_ROOM = 0.9
_MOST_FLOAT = 1 / 2  # of the projections; with more of them in float32 little would be left of the gain

QuantizedClass = Literal["lossless", "high", "balanced"]


class Step(NamedTuple):
    """One projection computed more closely: its input is quantised more closely, or all of it stays in float32."""

    site: str
    kind: Literal["closer", "float32"]


Measure = Callable[[tuple[Step, ...]], Fidelity]
"""The fidelity of the model with these steps taken."""

Drift = Mapping[str, NDArray[np.float32]]
"""By site: what each of some texts loses of its cosine where that projection alone is int8, shape (texts,)."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The steps taken, and what that gives.

    Attributes:
        steps: From the cheapest model to this one.
        fidelity: Measured against the float32 graph on texts that calibration never saw.
        reached: The class of that; None when it is below all of them.
    """

    steps: tuple[Step, ...]
    fidelity: Fidelity
    reached: QuantizedClass | None


def closer_steps(candidates: Sequence[Candidate]) -> tuple[Step, ...]:
    """Closer inputs, the most worth taking first: by the error that they save per number that goes in and out."""
    movable = [candidate for candidate in candidates if candidate.closer_noise < candidate.noise]
    movable.sort(key=lambda candidate: (candidate.closer_noise - candidate.noise) / candidate.activations)
    return tuple(Step(candidate.site, "closer") for candidate in movable)


def float_steps(candidates: Sequence[Candidate], drift: Drift, *, wanted: QuantizedClass) -> tuple[Step, ...]:
    """Projections to keep in float32, the most worth keeping first; up to half of all.

    What a projection is worth is its share of what the class allows to be lost: of the mean, and of the text that
    suffers the most. It costs the gain of int8 in each of its multiplications.

    Args:
        candidates: All projections.
        drift: Of each.
        wanted: The class to reach.
    """
    bounds = BOUNDS[wanted]

    def worth(candidate: Candidate) -> float:
        lost = drift[candidate.site]
        shares = float(lost.mean()) / (1 - bounds.cosine_mean) + float(lost.max()) / (1 - bounds.cosine_min)
        return shares / candidate.weights

    ordered = sorted(candidates, key=worth, reverse=True)
    return tuple(Step(candidate.site, "float32") for candidate in ordered[: int(len(ordered) * _MOST_FLOAT)])


def select_steps(
    stages: Sequence[Callable[[], Sequence[Step]]], measure: Measure, *, wanted: QuantizedClass
) -> Selection | None:
    """Take as few steps as bisections find to reach a class with some of its room to spare.

    Args:
        stages: Each gives steps, the best first; asked only where all steps of those before it do not suffice.
        measure: Measures one choice; asked about ``log2(number of steps)`` times, never twice about the same.
        wanted: The class to reach.

    Returns:
        The smallest choice found that reaches the class; None where all steps together do not.
    """

    def attempt(taken: tuple[Step, ...]) -> tuple[Selection, bool]:
        fidelity = measure(taken)
        found = Selection(steps=taken, fidelity=fidelity, reached=classify(fidelity))
        return found, not class_failures(fidelity, wanted, room=_ROOM)

    taken: tuple[Step, ...] = ()
    best, enough = attempt(taken)
    for steps in stages:
        if enough:
            return best
        more = tuple(steps())
        if more:
            best, enough = _bisect(attempt, taken, more)
        taken = (*taken, *more)
    return best if enough else None


def _bisect(
    attempt: Callable[[tuple[Step, ...]], tuple[Selection, bool]], taken: tuple[Step, ...], more: tuple[Step, ...]
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
