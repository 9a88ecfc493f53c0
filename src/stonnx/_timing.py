"""What every measurement of speed shares: rounds by turns, middle values, samples that keep the mix of lengths."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = [
    "FEWEST_ROUNDS",
    "MOST_ROUNDS",
    "Clock",
    "Item",
    "Round",
    "RoundLimits",
    "item_length",
    "median",
    "percentile",
    "run_rounds",
    "short_texts",
    "spread",
    "spread_blocks",
]

T = TypeVar("T")

Clock = Callable[[], float]
"""Seconds from any origin, such as ``time.perf_counter``."""

Item = str | tuple[str, str]
"""What is measured: a text, or a pair of texts."""

ItemT = TypeVar("ItemT", bound=Item)

FEWEST_ROUNDS = 3  # a median of fewer would be one side's luck
MOST_ROUNDS = 15  # more hardly move the median

_SHORT_BYTES = 96  # about 25 tokens of English as of Chinese: three bytes a character, one character a token
_FEWEST_SHORT = 10


@dataclass(frozen=True, kw_only=True)
class RoundLimits:
    """When rounds end.

    Attributes:
        fewest: Rounds that are run in any case.
        most: Rounds that are never exceeded.
        deadline: The clock's time after which no round beyond ``fewest`` starts.
    """

    fewest: int = FEWEST_ROUNDS
    most: int = MOST_ROUNDS
    deadline: float


@dataclass(frozen=True, kw_only=True)
class Round:
    """One turn of either side on the same calls: seconds of each call, in order."""

    a: tuple[float, ...]
    b: tuple[float, ...]


def run_rounds(
    sides: tuple[Callable[[T], object], Callable[[T], object]],
    calls: Sequence[T],
    *,
    limits: RoundLimits,
    clock: Clock,
    after_call: Callable[[T], None] | None = None,
) -> Iterator[Round]:
    """Run rounds in the order a b, b a, a b …: a busy moment hurts both sides alike, and neither is always first.

    Args:
        sides: The functions a and b.
        calls: What each side is called with; every round and side makes all of these calls.
        limits: When to end.
        clock: Where seconds come from.
        after_call: Told, outside of the measured time, what a side was just called with; None for nobody.

    Yields:
        The rounds, as they end.
    """
    a, b = sides
    for number in range(limits.most):
        if number >= limits.fewest and clock() >= limits.deadline:
            return
        if number % 2 == 0:
            a_s = _timed(a, calls, clock, after_call)
            b_s = _timed(b, calls, clock, after_call)
        else:
            b_s = _timed(b, calls, clock, after_call)
            a_s = _timed(a, calls, clock, after_call)
        yield Round(a=a_s, b=b_s)


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle."""
    return float(statistics.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` % of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]


def item_length(item: Item) -> int:
    """Characters of a text, or of both texts of a pair."""
    return len(item) if isinstance(item, str) else len(item[0]) + len(item[1])


def spread(texts: Sequence[T], count: int) -> tuple[T, ...]:
    """``count`` texts, or pairs, at even distances (all of them if there are fewer): the mix of lengths stays."""
    if count >= len(texts):
        return tuple(texts)
    return tuple(texts[index * len(texts) // count] for index in range(count))


def spread_blocks(texts: Sequence[ItemT], count: int, *, block: int) -> tuple[ItemT, ...]:
    """At least ``count`` texts as whole blocks of neighbours in length, from even distances; input order.

    An encoder that sorts by length and cuts into batches of ``block`` pads these texts as it would pad all of
    them. Single texts from even distances would leave it with neighbours of very unequal length.

    Args:
        texts: The texts, or pairs, to choose from.
        count: How many are wanted; rounded up to whole blocks, and all of them if there are not more.
        block: Texts of a block.
    """
    wanted = math.ceil(count / block)
    blocks = math.ceil(len(texts) / block)
    if wanted >= blocks:
        return tuple(texts)
    order = sorted(range(len(texts)), key=lambda index: -item_length(texts[index]))
    picked = [(2 * number + 1) * blocks // (2 * wanted) for number in range(wanted)]
    chosen = sorted(index for at in picked for index in order[at * block : (at + 1) * block])
    return tuple(texts[index] for index in chosen)


def short_texts(texts: Sequence[str], count: int) -> tuple[str, ...]:
    """Up to ``count`` texts of about a sentence (96 bytes), or the shortest ones where there are hardly any."""
    by_length = sorted(texts, key=_utf8_bytes)
    short = [text for text in by_length if 0 < _utf8_bytes(text) <= _SHORT_BYTES]
    return spread(short, count) if len(short) >= _FEWEST_SHORT else tuple(by_length[:count])


def _timed(
    side: Callable[[T], object], calls: Sequence[T], clock: Clock, after_call: Callable[[T], None] | None
) -> tuple[float, ...]:
    """Seconds of each call."""
    seconds = []
    for call in calls:
        start = clock()
        side(call)
        seconds.append(clock() - start)
        if after_call is not None:
            after_call(call)
    return tuple(seconds)


def _utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
