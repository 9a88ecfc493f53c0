"""How closely each projection is computed: as cheaply as the wanted fidelity allows, by measured drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from stonnx.artifact import Fidelity
from stonnx.artifact.fidelity_class import class_failures, classify
from stonnx.quantize.projections import Candidate

__all__ = ["QuantizedClass", "Selection", "Step", "select_steps", "steps_by_gain"]

# Of what a class allows to be lost: the held-out texts are few, and others are to keep the class as well. More room
# would go to chance: over a hundred texts it moves the overlap of neighbours by half a percent.
_ROOM = 0.95
_MOST_FLOAT = 1 / 2  # of the projections; with more of them in float32 little would be left of the gain

QuantizedClass = Literal["lossless", "high", "balanced"]


class Step(NamedTuple):
    """One projection computed more closely: its input gets a scale per token, or all of it stays in float32."""

    site: str
    kind: Literal["per token", "float32"]


Measure = Callable[[tuple[Step, ...]], Fidelity]
"""The fidelity of the model with these steps taken."""


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


def steps_by_gain(candidates: Sequence[Candidate]) -> tuple[Step, ...]:
    """All steps, the most worth taking first: scales per token, then float32.

    A scale per token costs passes over the activations, float32 the gain of int8 in each multiplication. Up to half
    of the projections may stay in float32.
    """
    movable = [candidate for candidate in candidates if candidate.closer != candidate.projection]
    movable.sort(key=lambda candidate: (candidate.closer_noise - candidate.noise) / candidate.activations)
    noisy = sorted(candidates, key=lambda candidate: -candidate.closer_noise / candidate.weights)
    return (
        *(Step(candidate.site, "per token") for candidate in movable),
        *(Step(candidate.site, "float32") for candidate in noisy[: int(len(noisy) * _MOST_FLOAT)]),
    )


def select_steps(steps: Sequence[Step], measure: Measure, *, wanted: QuantizedClass) -> Selection | None:
    """Take as few of the steps, in their order, as a bisection finds to reach a class with some of its room to spare.

    Args:
        steps: All steps, the best first.
        measure: Measures one choice; it is asked about ``log2(len(steps))`` times.
        wanted: The class to reach.

    Returns:
        The smallest choice found that reaches the class; None where all steps together do not.
    """

    def attempt(count: int) -> tuple[Selection, bool]:
        taken = tuple(steps[:count])
        fidelity = measure(taken)
        found = Selection(steps=taken, fidelity=fidelity, reached=classify(fidelity))
        return found, not class_failures(fidelity, wanted, room=_ROOM)

    best, enough = attempt(0)
    if enough:
        return best
    best, enough = attempt(len(steps))
    if not enough:
        return None
    fewest, number = 0, len(steps)
    while number - fewest > 1:
        middle = (fewest + number) // 2
        found, enough = attempt(middle)
        if enough:
            best, number = found, middle
        else:
            fewest = middle
    return best
