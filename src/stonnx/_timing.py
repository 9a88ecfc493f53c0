"""What every measurement of speed shares: middle values, and samples of texts that keep their mix of lengths."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

__all__ = ["Clock", "median", "percentile", "short_texts", "spread", "spread_blocks"]

Clock = Callable[[], float]
"""Seconds from any origin, such as ``time.perf_counter``."""

_SHORT_BYTES = 96  # about 25 tokens of English as of Chinese: three bytes a character, one character a token
_FEWEST_SHORT = 10


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle."""
    return float(statistics.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` % of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]


def spread(texts: Sequence[str], count: int) -> tuple[str, ...]:
    """``count`` texts at even distances (all of them if there are fewer): the mix of lengths stays."""
    if count >= len(texts):
        return tuple(texts)
    return tuple(texts[index * len(texts) // count] for index in range(count))


def spread_blocks(texts: Sequence[str], count: int, *, block: int) -> tuple[str, ...]:
    """At least ``count`` texts as whole blocks of neighbours in length, from even distances; input order.

    An encoder that sorts by length and cuts into batches of ``block`` pads these texts as it would pad all of
    them. Single texts from even distances would leave it with neighbours of very unequal length.

    Args:
        texts: The texts to choose from.
        count: How many are wanted; rounded up to whole blocks, and all of them if there are not more.
        block: Texts of a block.
    """
    wanted = math.ceil(count / block)
    blocks = math.ceil(len(texts) / block)
    if wanted >= blocks:
        return tuple(texts)
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
    picked = [(2 * number + 1) * blocks // (2 * wanted) for number in range(wanted)]
    chosen = sorted(index for at in picked for index in order[at * block : (at + 1) * block])
    return tuple(texts[index] for index in chosen)


def short_texts(texts: Sequence[str], count: int) -> tuple[str, ...]:
    """Up to ``count`` texts of about a sentence (96 bytes), or the shortest ones where there are hardly any."""
    by_length = sorted(texts, key=_utf8_bytes)
    short = [text for text in by_length if 0 < _utf8_bytes(text) <= _SHORT_BYTES]
    return spread(short, count) if len(short) >= _FEWEST_SHORT else tuple(by_length[:count])


def _utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
