"""Races: a candidate and the base run the same texts by turns, so that a busy moment hurts both alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stonnx._timing import Clock, median

__all__ = ["Encode", "Race", "run_race"]

Encode = Callable[[str | Sequence[str]], object]

_MIN_ROUNDS = 3
_MAX_ROUNDS = 15


@dataclass(frozen=True, kw_only=True)
class Race:
    """What two sides took for the same calls.

    Attributes:
        base_s: Seconds per call of the base, the median over all calls of all rounds.
        ratio: How many times faster the candidate is: the median over the rounds of base / candidate.
    """

    base_s: float
    ratio: float

    @property
    def candidate_s(self) -> float:
        """Seconds per call of the candidate, as if it had run while the base had its median."""
        return self.base_s / self.ratio


def run_race(
    base: Encode, candidate: Encode, calls: Sequence[str | Sequence[str]], *, budget_s: float, clock: Clock
) -> Race:
    """Run rounds in the order base candidate, candidate base, ...: neither is always the first.

    Args:
        base: What the candidate is compared with.
        candidate: What is measured.
        calls: What to encode, call by call; every round and side makes all of them.
        budget_s: Time for the rounds; at least three are run, at most fifteen.
        clock: Where seconds come from.
    """
    candidate(calls[0])  # first runs allocate and compile: the rounds are slower than any later one
    deadline = clock() + budget_s
    base_s: list[float] = []
    ratios = []
    for number in range(_MAX_ROUNDS):
        if number >= _MIN_ROUNDS and clock() >= deadline:
            break
        if number % 2 == 0:
            mine, theirs = _timed(base, calls, clock), _timed(candidate, calls, clock)
        else:
            theirs, mine = _timed(candidate, calls, clock), _timed(base, calls, clock)
        base_s.extend(mine)
        ratios.append(median(mine) / max(median(theirs), 1e-9))
    return Race(base_s=median(base_s), ratio=max(median(ratios), 1e-9))


def _timed(encode: Encode, calls: Sequence[str | Sequence[str]], clock: Clock) -> list[float]:
    """Seconds of each call."""
    seconds = []
    for texts in calls:
        start = clock()
        encode(texts)
        seconds.append(clock() - start)
    return seconds
