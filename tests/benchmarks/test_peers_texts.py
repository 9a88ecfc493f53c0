from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peers.texts import slices_of, text_of_tokens
from tokenizers import Tokenizer, models, pre_tokenizers


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 500), min_size=1, max_size=300), st.integers(1, 6))
def test_slices_hold_each_text_once(lengths: list[int], count: int) -> None:
    slices = slices_of(lengths, count)
    assert sorted(index for part in slices for index in part) == list(range(len(lengths)))
    assert 1 <= len(slices) <= count
    assert all(part == sorted(part) and part for part in slices)


def test_slices_are_alike_in_length() -> None:
    lengths = list(range(1024))
    means = [sum(lengths[index] for index in part) / len(part) for part in slices_of(lengths, 4)]
    assert max(means) - min(means) <= 3 * 32  # three blocks of neighbours apart, out of 1024


def test_neighbours_in_length_stay_together() -> None:
    lengths = [index % 64 for index in range(256)]
    for part in slices_of(lengths, 4):
        values = sorted(lengths[index] for index in part)
        for start in range(0, len(values), 32):
            assert values[start + 31] - values[start] <= 8


@pytest.fixture
def words() -> Tokenizer:
    vocabulary = {word: index for index, word in enumerate(["[UNK]", "a", "bb", "ccc", "d"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


@pytest.mark.parametrize("length", [1, 5, 16])
def test_text_has_exactly_as_many_tokens(words: Tokenizer, length: int) -> None:
    text = text_of_tokens(["a bb", "ccc d a"], 1, length, words)
    assert len(words.encode(text).ids) == length
    assert text.startswith("ccc")
