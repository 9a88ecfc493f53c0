"""Which probes are enough where a difference would show on any of them, and which are also run alone.

A variant in float32 promises the original's vectors up to rounding: on every text, and by bounds on the largest
difference. A wrong graph breaks those on any text, a wrong position on a text that is long enough, and a mean over
many texts adds nothing. So the reference variant is compared on all probes, and the other float32 variants, which
compute the same from the same weights, on these. One that does not keep the bounds there is measured on all of them,
so a short proof never says anything but *exact*. For example::

    few = some_texts(goldens)
    len(goldens.texts), len(few.texts)  # (122, 33)
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from stonnx.artifact import Goldens, PairGoldens

__all__ = ["alone_sample", "exact_sample", "some_pairs", "some_texts"]

_SHORT_BYTES = 256
_LONG = 8  # times the median
_EVERY_SHORT_TEXT = 4
_EVERY_SHORT_PAIR = 8  # there are four times as many of them
_FEW = 16  # all of so few are run


def some_texts(goldens: Goldens) -> Goldens:
    """The texts of ``exact_sample``, with the reference's vectors of them.

    Args:
        goldens: All probe texts, and what the reference gives.
    """
    chosen = exact_sample(goldens.texts, every=_EVERY_SHORT_TEXT)
    return replace(goldens, texts=tuple(goldens.texts[index] for index in chosen), vectors=goldens.vectors[chosen])


def some_pairs(goldens: PairGoldens) -> PairGoldens:
    """The pairs of ``exact_sample``, with the reference's scores and logits of them.

    Args:
        goldens: All probe pairs, and what the reference gives.
    """
    chosen = exact_sample([first + second for first, second in goldens.pairs], every=_EVERY_SHORT_PAIR)
    pairs = tuple(goldens.pairs[index] for index in chosen)
    return replace(goldens, pairs=pairs, scores=goldens.scores[chosen], logits=goldens.logits[chosen])


def exact_sample(texts: Sequence[str], *, every: int = _EVERY_SHORT_TEXT) -> list[int]:
    """Indices of the texts that prove a float32 variant, ascending.

    The longest text of each length class, where a class goes up to four times the length of the one before it: the
    last ones fill the positions that a model has. And every fourth of the short texts in their order, which is that of
    the kinds of probes. Lengths are those in UTF-8: they come closer to numbers of tokens than characters do, whatever
    the language.

    Args:
        texts: The probes; of pairs both texts in one.
        every: How many short texts there are for each one that is taken.
    """
    if len(texts) <= _FEW:
        return list(range(len(texts)))
    lengths = _lengths(texts)
    longest: dict[int, int] = {}
    for index, length in enumerate(lengths):
        length_class = (length.bit_length() + 1) // 2
        if length > lengths[longest.setdefault(length_class, index)]:
            longest[length_class] = index
    short = [index for index, length in enumerate(lengths) if length < _SHORT_BYTES]
    return sorted({*longest.values(), *short[::every]})


def alone_sample(texts: Sequence[str], *, every: int, all_short: bool = False) -> list[int]:
    """Indices of the texts that are also run alone, ascending: one in ``every`` of them in their order.

    Of the long ones among these, which have eight times the length of the median, only the first: what its neighbours
    in a batch do to a text shows as well on a usual one, which takes a fraction of the time.

    Args:
        texts: The texts; of pairs both texts in one.
        every: How many there are for each one that is taken.
        all_short: Take all short ones: where inputs are rounded to integers, a last digit that differs turns one over
            in a few texts only, and in the others shows nothing.
    """
    lengths = _lengths(texts)
    chosen = range(0, len(texts), every)
    long = [index for index in chosen if lengths[index] >= _LONG * statistics.median(lengths)]
    short = [index for index, length in enumerate(lengths) if all_short and length < _SHORT_BYTES]
    return sorted({*short, *chosen} - {*long[1:]})


def _lengths(texts: Sequence[str]) -> list[int]:
    """Bytes in UTF-8; unpaired surrogates count as what they are replaced by."""
    return [len(text.encode("utf-8", "replace")) for text in texts]
