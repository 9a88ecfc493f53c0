"""Races: a candidate and the base run the same calls by turns, so that a busy moment hurts both alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from stonnx._timing import Clock, RoundLimits, median, run_rounds

__all__ = ["Race", "run_race"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Race:
    """What two sides took for the same calls.

    Attributes:
        base_s: Seconds per call of the base, the median over all calls of all rounds.
        ratio: How many times faster the candidate is: the median over the rounds of base / candidate.
    """

    base_s: float
    ratio: float


def run_race(
    base: Callable[[T], object],
    candidate: Callable[[T], object],
    calls: Sequence[T],
    *,
    budget_s: float,
    clock: Clock,
) -> Race:
    """Warm the candidate up, then run rounds with the two sides by turns.

    Args:
        base: What the candidate is compared with.
        candidate: What is measured.
        calls: What to run, call by call; every round and side makes all of them.
        budget_s: Time for the rounds; at least three are run, at most fifteen.
        clock: Where seconds come from.
    """
    candidate(calls[0])  # first runs allocate and compile: the rounds are slower than any later one
    limits = RoundLimits(deadline=clock() + budget_s)
    rounds = list(run_rounds((base, candidate), calls, limits=limits, clock=clock))
    ratios = [median(turn.a) / max(median(turn.b), 1e-9) for turn in rounds]
    return Race(base_s=median([seconds for turn in rounds for seconds in turn.a]), ratio=max(median(ratios), 1e-9))
