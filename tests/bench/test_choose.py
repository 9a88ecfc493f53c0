from __future__ import annotations

import pytest

from stonnx._timing import short_texts
from stonnx.bench.choose import checked_texts, vocabulary_language
from stonnx.errors import UsageError


def test_vocabulary_language():
    chinese = [chr(0x4E00 + n) for n in range(40)] + [f"##{chr(0x4E00 + n)}" for n in range(40)]
    english = [f"word{n}" for n in range(100)]
    assert vocabulary_language(chinese + english) == "zh"
    assert vocabulary_language(chinese[:30] + english) == "en"
    assert vocabulary_language(["▁今天", "开心", "[UNK]"]) == "zh"
    assert vocabulary_language([]) == "en"


def test_checked_texts_are_distinct_and_in_order():
    assert checked_texts(["b", "a", "b", "", "a"]) == ("b", "a", "")


@pytest.mark.parametrize("texts", ["one str", [], [1], ["a", None]])
def test_checked_texts_refuse_what_is_no_list_of_str(texts):
    with pytest.raises(UsageError):
        checked_texts(texts)


def test_short_texts_are_short():
    texts = ["", *(f"short {n}" for n in range(30)), *("long " * 100 + str(n) for n in range(30)), "\ud800"]
    chosen = short_texts(texts, 20)
    assert len(chosen) == len(set(chosen)) == 20
    assert all(0 < len(text) <= 96 for text in chosen)


def test_where_hardly_any_is_short_the_shortest_are_taken():
    texts = [f"{n} " + "word " * (100 + n) for n in range(30)]
    assert set(short_texts(texts, 5)) == set(texts[:5])
