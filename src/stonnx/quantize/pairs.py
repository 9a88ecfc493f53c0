"""Pairs to quantise a reranker with, made of the shipped texts: some to calibrate on, others to choose by.

>>> from stonnx.quantize.pairs import calibration_pairs, held_out_pairs
>>> calibration_pairs(["The tide is low.", "A kettle boils."])
(('The tide', 'The tide is low.'), ('A kettle', 'A kettle boils.'), ('The tide is low.', 'A kettle boils.'))
>>> len(held_out_pairs().natural)  # twelve queries with twenty documents each
240

A reranker sees questions beside texts that answer them and beside many that do not. Without a set of real questions,
the beginning of a text stands for a question that this text answers, and that others do not.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from stonnx._queries import asked_pairs, beginning
from stonnx.quantize.texts import selection_edges, selection_texts

__all__ = ["HeldOutPairs", "calibration_pairs", "held_out_pairs"]

_QUERIES = 12
_FEWEST_BYTES = 80  # of a text whose beginning is a question: less would leave nothing to ask for


@dataclass(frozen=True, kw_only=True)
class HeldOutPairs:
    """Pairs to choose by, which calibration does not see.

    Attributes:
        natural: Query and document of each: every query with twenty documents, one of which it is taken from.
        odd: Pairs of odd texts.
    """

    natural: tuple[tuple[str, str], ...]
    odd: tuple[tuple[str, str], ...]


def calibration_pairs(texts: Sequence[str], edges: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """The beginning of each text with the text, every second text with the next, and odd texts on either side.

    Args:
        texts: Natural texts, the user's or the shipped ones.
        edges: Odd texts.
    """
    answered = [(beginning(text), text) for text in texts]
    others = list(zip(texts[::2], texts[1::2], strict=False))
    question = beginning(texts[0]) if texts else ""
    odd = [pair for text in edges for pair in ((question, text), (text, text))]
    return (*answered, *others, *odd)


@functools.cache
def held_out_pairs() -> HeldOutPairs:
    """The shipped pairs to choose by, always in the same order."""
    texts = selection_texts()
    long_enough = {text for text in texts if len(text.encode()) >= _FEWEST_BYTES}
    natural = asked_pairs(texts, queries=_QUERIES, answers=long_enough)
    question = natural[0][0]
    odd = [pair for text in selection_edges() for pair in ((question, text), (text, text))]
    return HeldOutPairs(natural=tuple(natural), odd=tuple(odd))
