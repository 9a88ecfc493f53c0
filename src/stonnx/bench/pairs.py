"""The pairs that a reranker is measured on, made of the shipped texts, and its calls: one query, some documents.

    pairs = bench_pairs("en")  # 400 of them: twenty queries with twenty documents each
    query_calls(pairs)         # the same for pairs of any other make

The beginning of a text serves as a question, asked of that text and of others. No real questions are shipped; for
speed, only lengths count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from stonnx._timing import spread
from stonnx.bench.texts import bench_texts
from stonnx.errors import UsageError
from stonnx.texts import beginning

__all__ = ["DOCUMENTS", "bench_pairs", "checked_pairs", "query_calls"]

DOCUMENTS = 20
"""How many documents a query has where the answer to one query is timed."""

_QUERIES = 20


def bench_pairs(language: Literal["en", "zh"]) -> tuple[tuple[str, str], ...]:
    """Query and document of each shipped pair, always in the same order, the documents of a query together.

    Args:
        language: ``"en"`` or ``"zh"``.

    Raises:
        UsageError: There are no texts of that language.
    """
    texts = bench_texts(language)
    pairs = []
    for number, own in enumerate(spread(texts, _QUERIES)):
        others = [text for text in texts[number:] + texts[:number] if text != own]
        pairs += [(beginning(own), document) for document in (own, *spread(others, DOCUMENTS - 1))]
    return tuple(pairs)


def query_calls(pairs: Sequence[tuple[str, str]], queries: int = 10) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Calls that each score one query against the same twenty documents, from pairs in any order.

    Args:
        pairs: Query and document of each, at least one.
        queries: How many calls at most.
    """
    asked = spread(list(dict.fromkeys(query for query, _ in pairs)), queries)
    documents = spread(list(dict.fromkeys(document for _, document in pairs)), DOCUMENTS)
    return tuple(tuple((query, document) for document in documents) for query in asked)


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
