"""The probe pairs that stonnx ships: what a faithful copy of a reranker must score alike.

>>> from stonnx.verify import probe_pairs
>>> query, document = probe_pairs()[0]
>>> query
'how to remove limescale from a kettle'

Most are rankings: every query of a language with each of its twenty documents, of which one or a few answer it, some
come near and most do not. The rest are odd: an empty query or document, very long ones, control characters, texts
that are the same. All of them were written for stonnx, so they may travel with every artifact.
"""

from __future__ import annotations

import functools
import itertools
import json
from importlib import resources

from stonnx.verify.probes import probes

__all__ = ["probe_pairs"]

# Kinds of probe texts that are also tried as a query, as a document, and as both.
_ODD = ("empty", "whitespace", "control", "surrogate", "emoji", "special-token", "repeated", "one-char", "html")
_LONG = ("long-128-en", "long-256-en", "long-512-en", "long-128-zh", "long-256-zh", "long-512-zh")
_QUERY = "how to remove limescale from a kettle"
_DOCUMENT = "手机充电慢，多半是数据线或者充电头的问题，先换一根线试试，再看看充电口有没有灰尘。"


@functools.cache
def probe_pairs() -> tuple[tuple[str, str], ...]:
    """Query and document of each probe pair, always in the same order, no pair twice."""
    return tuple(dict.fromkeys((*_rankings(), *_odd_pairs(), *_long_pairs(), *_near_duplicates())))


def _rankings() -> list[tuple[str, str]]:
    source = resources.files("stonnx.verify").joinpath("pair_probes.json")
    rankings = json.loads(source.read_text(encoding="utf-8"))["rankings"]
    return [(query, document) for part in rankings for query in part["queries"] for document in part["documents"]]


def _odd_pairs() -> list[tuple[str, str]]:
    """The first probe text of each odd kind as a query, as a document, and beside itself."""
    pairs: list[tuple[str, str]] = []
    for text in _firsts(_ODD):
        pairs += [(text, _DOCUMENT), (_QUERY, text), (text, text)]
    return pairs


def _long_pairs() -> list[tuple[str, str]]:
    """Long documents with a short query, a long query with a short document, and pairs of which both are cut."""
    long = _firsts(_LONG)
    pairs = [(_QUERY, text) for text in long]
    pairs += [(long[2], _DOCUMENT), (long[2], long[1]), (long[5], long[2]), (long[4], long[5])]
    return pairs


def _near_duplicates() -> list[tuple[str, str]]:
    texts = [probe.text for probe in probes() if probe.kind == "near-duplicate"]
    return list(itertools.pairwise(texts))


def _firsts(kinds: tuple[str, ...]) -> list[str]:
    """The first probe text of each kind."""
    found: dict[str, str] = {}
    for probe in probes():
        found.setdefault(probe.kind, probe.text)
    return [found[kind] for kind in kinds]
