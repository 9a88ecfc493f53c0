"""Queries with their documents: made of texts where nobody has given any, and as the calls that answer them.

>>> from stonnx._queries import asked_pairs, query_calls
>>> pairs = asked_pairs(("The tide is low.", "A kettle boils.", "Rain fell."), queries=2, documents=2)
>>> pairs[:2]
[('The tide', 'The tide is low.'), ('The tide', 'A kettle boils.')]
>>> [len(call) for call in query_calls(pairs, queries=2)]
[3, 3]
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from stonnx._timing import spread

__all__ = ["DOCUMENTS", "asked_pairs", "beginning", "query_calls"]

DOCUMENTS = 20
"""How many documents a query has."""

_WORDS = 6
_CHARACTERS = 16


def beginning(text: str) -> str:
    """The first words of a text, or its first characters where words are not set apart, as in Chinese.

    It stands for a question that this text answers and others do not, where nobody has given questions.
    """
    words = text.split()
    if len(words) > 2 * _WORDS:
        return " ".join(words[:_WORDS])
    return text[: min(_CHARACTERS, (len(text) + 1) // 2)]


def asked_pairs(
    texts: Sequence[str], *, queries: int, documents: int = DOCUMENTS, answers: Collection[str] | None = None
) -> list[tuple[str, str]]:
    """Query and document of each pair, the documents of a query together, the one that answers it first.

    Args:
        texts: What the documents are taken from, no text twice.
        queries: How many queries.
        documents: How many documents each has.
        answers: Those of ``texts`` whose beginnings may be queries; None for all.
    """
    pairs = []
    allowed = [text for text in texts if answers is None or text in answers]
    for number, answer in enumerate(spread(allowed, queries)):
        others = [text for text in (*texts[number:], *texts[:number]) if text != answer]
        pairs += [(beginning(answer), document) for document in (answer, *spread(others, documents - 1))]
    return pairs


def query_calls(
    pairs: Sequence[tuple[str, str]], *, queries: int, documents: int = DOCUMENTS
) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Calls that each score one query against the same documents, from pairs in any order.

    Args:
        pairs: Query and document of each, at least one.
        queries: How many calls at most.
        documents: How many documents at most.
    """
    asked = spread(list(dict.fromkeys(query for query, _ in pairs)), queries)
    chosen = spread(list(dict.fromkeys(document for _, document in pairs)), documents)
    return tuple(tuple((query, document) for document in chosen) for query in asked)
