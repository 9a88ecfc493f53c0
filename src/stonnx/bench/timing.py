"""Interleaved rounds: both sides do the same work by turns, so that a busy moment hurts both alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stonnx._timing import Clock, median, percentile, spread, spread_blocks
from stonnx.bench.sides import Pair, Side

__all__ = ["Clock", "Plan", "Round", "median", "percentile", "plan_rounds", "run_rounds", "spread", "spread_blocks"]

_MIN_ROUNDS = 3
_MAX_ROUNDS = 15


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to run: texts of one round and side, and the number of rounds (at least, at most)."""

    texts: int
    min_rounds: int
    max_rounds: int


@dataclass(frozen=True, kw_only=True)
class Round:
    """One turn of either side on the same calls: seconds of each call, in order."""

    a: tuple[float, ...]
    b: tuple[float, ...]


def plan_rounds(seconds_per_text: float, *, texts: int, min_texts: int, budget_s: float) -> Plan:
    """Rounds and their size, from what one text costs and the time there is.

    All texts in as many rounds as fit (3 to 15); where not even three fit, three rounds of fewer texts,
    and never fewer than ``min_texts``: the budget is a target, the minimum is a promise.

    Args:
        seconds_per_text: Cost of one text on both sides together.
        texts: Texts there are.
        min_texts: Fewest texts of a round that still mean something.
        budget_s: Time for all rounds together, seconds.
    """
    cost = max(seconds_per_text, 1e-9)
    rounds = int(budget_s / (cost * texts))
    if rounds >= _MIN_ROUNDS:
        return Plan(texts=texts, min_rounds=_MIN_ROUNDS, max_rounds=min(rounds, _MAX_ROUNDS))
    fitting = int(budget_s / (cost * _MIN_ROUNDS))
    return Plan(texts=min(texts, max(min_texts, fitting)), min_rounds=_MIN_ROUNDS, max_rounds=_MIN_ROUNDS)


def run_rounds(
    pair: Pair,
    calls: Sequence[Sequence[str]],
    plan: Plan,
    *,
    deadline: float,
    clock: Clock,
    on_texts: Callable[[int], None],
) -> Iterator[Round]:
    """Run the rounds in the order a b, b a, a b …: neither side is always the first.

    Args:
        pair: The two sides.
        calls: Texts of each call to a side's ``encode``; every round and side makes all of them.
        plan: How many rounds; ``calls`` are made already.
        deadline: Clock time behind which no round beyond the minimum is started.
        clock: Where seconds come from.
        on_texts: Told, outside of the measured time, how many texts a call has done.

    Yields:
        The rounds, as they end.
    """
    for number in range(plan.max_rounds):
        if number >= plan.min_rounds and clock() >= deadline:
            return
        if number % 2 == 0:
            a = _timed(pair.a, calls, clock, on_texts)
            b = _timed(pair.b, calls, clock, on_texts)
        else:
            b = _timed(pair.b, calls, clock, on_texts)
            a = _timed(pair.a, calls, clock, on_texts)
        yield Round(a=a, b=b)


def _timed(
    side: Side, calls: Sequence[Sequence[str]], clock: Clock, on_texts: Callable[[int], None]
) -> tuple[float, ...]:
    """Seconds of each call."""
    seconds = []
    for texts in calls:
        start = clock()
        side.encode(texts)
        seconds.append(clock() - start)
        on_texts(len(texts))
    return tuple(seconds)
