"""The probe pairs: rankings that are long enough, and the odd ones."""

from __future__ import annotations

from collections import Counter

from stonnx.verify import probe_pairs
from stonnx.verify.score_metrics import LEAST_DOCUMENTS


def test_no_pair_twice_and_always_the_same():
    pairs = probe_pairs()
    assert len(set(pairs)) == len(pairs)
    assert pairs is probe_pairs()
    assert all(isinstance(text, str) for pair in pairs for text in pair)


def test_enough_rankings_in_both_languages():
    counts = Counter(query for query, _ in probe_pairs())
    ranked = [query for query, count in counts.items() if count >= LEAST_DOCUMENTS]
    chinese = [query for query in ranked if any("\u4e00" <= char <= "\u9fff" for char in query)]
    assert len(chinese) >= 8
    assert len(ranked) - len(chinese) >= 12


def test_what_is_odd():
    pairs = probe_pairs()
    assert ("", "") in pairs
    assert any(query == "" and document for query, document in pairs)
    assert any(query and document == "" for query, document in pairs)
    assert any(query == document and query.strip() for query, document in pairs)
    assert any("\0" in query for query, _ in pairs)
    assert any("\ud83d" in document for _, document in pairs)
    assert any(len(query) > 2000 and len(document) > 2000 for query, document in pairs)
    assert sum(len(document) > 2000 for _, document in pairs) >= 2
