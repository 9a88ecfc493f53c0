from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.artifact import clean_text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        ("plain", "plain"),
        ("今天 👩‍👩‍👧 \0\x1f\ufeff", "今天 👩‍👩‍👧 \0\x1f\ufeff"),
        ("a\ud83d", "a\ufffd"),
        ("\udc00b", "\ufffdb"),
        ("\ud83dx\ude00", "\ufffdx\ufffd"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d\ud83d\ude00", "\ufffd😀"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
    ],
)
def test_clean_text(text, cleaned):
    assert clean_text(text) == cleaned


@given(st.text(st.characters(exclude_categories=())))
def test_the_result_is_valid_unicode_and_stays(text):
    cleaned = clean_text(text)
    cleaned.encode("utf-8")
    assert clean_text(cleaned) is cleaned
    assert len(cleaned) <= len(text)
