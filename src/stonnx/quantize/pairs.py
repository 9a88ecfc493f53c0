"""Pairs to quantise a reranker with, made of the shipped texts: some to calibrate on, others to choose by.

    calibration_pairs(texts)  # (query, document), ...
    held_out_pairs().natural  # pairs of rankings; the odd ones come after them

A reranker sees questions beside texts that answer them and beside many that do not. Without a set of real questions,
the beginning of a text stands for a question that this text answers, and that others do not.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from stonnx._timing import spread
from stonnx.quantize.texts import selection_edges, selection_texts
from stonnx.texts import beginning

__all__ = ["HeldOutPairs", "calibration_pairs", "held_out_pairs"]

_QUERIES = 12
_DOCUMENTS = 20
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
    asked = spread([text for text in texts if len(text.encode()) >= _FEWEST_BYTES], _QUERIES)
    natural = []
    for number, own in enumerate(asked):
        others = [text for text in texts[number:] + texts[:number] if text != own]
        documents = (own, *spread(others, _DOCUMENTS - 1))
        natural += [(beginning(own), document) for document in documents]
    question = beginning(asked[0])
    odd = [pair for text in selection_edges() for pair in ((question, text), (text, text))]
    return HeldOutPairs(natural=tuple(natural), odd=tuple(odd))
