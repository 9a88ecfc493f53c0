"""The pairs that a reranker is measured on, made of the shipped texts.

>>> from stonnx.bench.pairs import bench_pairs
>>> len(bench_pairs("en"))  # twenty queries with twenty documents each
400

The beginning of a text serves as a question, asked of that text and of others. No real questions are shipped; for
speed, only lengths count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from stonnx._queries import asked_pairs
from stonnx.bench.texts import bench_texts
from stonnx.errors import UsageError

__all__ = ["bench_pairs", "checked_pairs"]

_QUERIES = 20


def bench_pairs(language: Literal["en", "zh"]) -> tuple[tuple[str, str], ...]:
    """Query and document of each shipped pair, always in the same order, the documents of a query together.

    Args:
        language: ``"en"`` or ``"zh"``.

    Raises:
        UsageError: There are no texts of that language.
    """
    return tuple(asked_pairs(bench_texts(language), queries=_QUERIES))


def checked_pairs(pairs: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """The distinct pairs, in order: a repeated pair would let a side gain by remembering it.

    Raises:
        UsageError: Something is no pair of two str, or there is no pair.
    """
    for index, pair in enumerate(pairs):
        if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise UsageError(f"pairs[{index}] is {pair!r:.60}; expected a pair of two str, query and document.")
    if not pairs:
        raise UsageError("There is no pair to score.", hint="Give at least one pair, or none for the shipped ones.")
    return tuple(dict.fromkeys((query, document) for query, document in pairs))
