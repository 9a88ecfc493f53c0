"""Pairs are cut as transformers cuts them, whatever of a long text was tokenized."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, normalizers
from tokenizers.models import WordLevel
from tokenizers.processors import RobertaProcessing, TemplateProcessing

from stonnx.errors import ArtifactError
from stonnx.runtime import tokenize
from stonnx.runtime.pairs import fill_template, longest_first
from stonnx.runtime.tokenize import TextTokenizer
from stonnx.testing._tokenizers import build_tokenizer

FAMILIES = ("wordpiece", "bpe", "unigram")
PAIRS = [
    ("hello", "the of and to in is a that for it was on are as with"),
    ("the of and to in is a that for it was on are as with", "hello"),
    ("of and to in is a", "of and to in is a"),
    ("of and to in is a that", "of and to in is a"),
    ("", "hello world"),
    ("hello world", ""),
    ("", ""),
    ("今天是周五啦", "明天就是周末啦，开心的一天"),
    ("a \ud800 b", "x [SEP] y"),
]


def as_roberta(tokenizer):
    """Four special tokens, and no token types: the room for two texts is even where it is odd for others."""
    cls, sep = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    tokenizer.post_processor = RobertaProcessing(("[SEP]", sep), ("[CLS]", cls), trim_offsets=True)


def document_first(tokenizer):
    token = ("[SEP]", tokenizer.token_to_id("[SEP]"))
    tokenizer.post_processor = TemplateProcessing(
        single="$A [SEP]", pair="$B:1 [SEP]:1 $A:0 [SEP]:0", special_tokens=[token]
    )


def as_it_is(_):
    pass


def saved(tokenizer, folder):
    file = Path(folder) / "tokenizer.json"
    tokenizer.save(str(file))
    return file


def rows_of(rows):
    """Ids and token types of each row."""
    types = np.zeros_like(rows.ids) if rows.token_type_ids is None else rows.token_type_ids
    places = list(zip(rows.offsets, rows.offsets[1:], strict=False))
    return [(rows.ids[a:b].tolist(), types[a:b].tolist()) for a, b in places]


@pytest.mark.slow  # importing transformers
@pytest.mark.reference
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("change", [as_it_is, as_roberta])
def test_rows_are_those_of_transformers(tmp_path, family, change):
    from transformers import PreTrainedTokenizerFast

    from stonnx.artifact.texts import clean_text

    tokenizer = build_tokenizer(family)
    change(tokenizer)
    file = saved(tokenizer, tmp_path)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(file), pad_token="[PAD]")
    for limit in (*range(5, 24), 200):
        ours = TextTokenizer(file, max_tokens=limit).pair_rows(PAIRS)
        cleaned = [[clean_text(text) for text in pair] for pair in PAIRS]
        expected = theirs(cleaned, truncation=True, max_length=limit, return_token_type_ids=True)
        wanted = list(zip(expected["input_ids"], expected["token_type_ids"], strict=True))
        assert rows_of(ours) == wanted, limit
        whole = theirs(cleaned, return_token_type_ids=True)["input_ids"]
        assert ours.truncated == sum(len(ids) > limit for ids in whole)


def test_token_types_are_left_out_where_all_are_zero(tmp_path):
    tokenizer = build_tokenizer("bpe")
    bert = TextTokenizer(saved(tokenizer, tmp_path), max_tokens=16).pair_rows(PAIRS)
    assert bert.token_type_ids is not None
    assert (bert.token_type_ids.dtype, len(bert.token_type_ids)) == (np.int32, len(bert.ids))
    as_roberta(tokenizer)
    roberta = TextTokenizer(saved(tokenizer, tmp_path), max_tokens=16).pair_rows(PAIRS)
    assert roberta.token_type_ids is None
    assert (roberta.ids.dtype, roberta.offsets.dtype) == (np.int32, np.int64)


@given(first=st.integers(0, 30), second=st.integers(0, 30), room=st.integers(1, 25))
def test_the_longer_one_gives_way(first, second, room):
    kept = longest_first(first, second, room=room)
    assert kept[0] <= first
    assert kept[1] <= second
    assert sum(kept) == min(room, first + second)
    shorter = min(first, second)
    assert min(kept) == min(shorter, room // 2) or sum(kept) == first + second


@functools.cache
def library(family, change, limit):
    """The library's own truncation, and ours, of one tokenizer."""
    tokenizer = build_tokenizer(family)
    change(tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        file = saved(tokenizer, folder)
        theirs = Tokenizer.from_file(str(file))
        theirs.enable_truncation(max_length=limit)
        return TextTokenizer(file, max_tokens=limit), theirs


WORDS = st.lists(st.sampled_from(["the", "hello", "a", "of", "x y", "今天", "b-c", "é"]), max_size=30).map(" ".join)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("change", [as_it_is, as_roberta, document_first])
@pytest.mark.parametrize("limit", [10, 11])
@settings(deadline=None, max_examples=100)
@given(pairs=st.lists(st.tuples(WORDS, WORDS), max_size=4), per_token=st.integers(1, 3))
def test_long_texts_are_cut_early_and_nobody_can_tell(family, change, limit, pairs, per_token):
    ours, theirs = library(family, change, limit)
    before = tokenize._CHARACTERS_PER_TOKEN
    try:
        tokenize._CHARACTERS_PER_TOKEN = per_token
        found = ours.pair_rows(pairs, parallel=False)
    finally:
        tokenize._CHARACTERS_PER_TOKEN = before
    expected = [theirs.encode(*pair) for pair in pairs]
    assert rows_of(found) == [(encoding.ids, encoding.type_ids) for encoding in expected]
    assert found.truncated == sum(bool(encoding.overflowing) for encoding in expected)


@pytest.mark.parametrize("limit", [10, 11])  # even and odd room for two texts
@pytest.mark.parametrize(
    "pair",
    [
        ("hello " * 100_000, "of and"),
        ("of and", "hello " * 100_000),
        ("hello " * 1000, "hello " * 1001),
        ("hello " * 1001, "hello " * 1000),
        ("今 " * 1000, "hello " * 1000),
    ],
)
def test_texts_far_beyond_the_limit(pair, limit):
    ours, theirs = library("wordpiece", as_it_is, limit)
    shortened = tuple(" ".join(text.split()[:1001]) for text in pair)  # the library keeps what it cuts off
    expected = theirs.encode(*shortened)
    assert rows_of(ours.pair_rows([pair])) == [(expected.ids, expected.type_ids)]


def test_little_of_a_long_text_is_tokenized_and_equal_texts_once(monkeypatch):
    ours, _ = library("wordpiece", as_it_is, 11)
    seen = []
    encode = TextTokenizer._encode_one
    monkeypatch.setattr(
        TextTokenizer, "_encode_one", lambda self, text, **o: (seen.append(len(text)), encode(self, text, **o))[1]
    )
    rows = ours.pair_rows([("of and", "hello " * 10_000), ("of and", "to")] * 3, parallel=False)
    assert len(rows) == 6
    assert len(seen) == 3
    assert sum(seen) < 1000


def test_the_prompt_goes_in_front_of_the_first_text(tmp_path):
    tokenizer = TextTokenizer(saved(build_tokenizer("wordpiece"), tmp_path), max_tokens=16)
    prompted = tokenizer.pair_rows([("world", "of")], prompt="hello ")
    assert rows_of(prompted) == rows_of(tokenizer.pair_rows([("hello world", "of")]))


def test_a_template_makes_one_text(tmp_path):
    tokenizer = TextTokenizer(saved(build_tokenizer("wordpiece"), tmp_path), max_tokens=16)
    found = tokenizer.pair_rows([("{document}", "of {query}")], prompt="a ", template="to {query} in {document} is")
    expected = tokenizer.rows(["to a {document} in of {query} is"])
    assert (found.ids.tolist(), found.token_type_ids) == (expected.ids.tolist(), None)
    assert fill_template("no places", "a", "b") == "no places"


def test_no_pairs(tmp_path):
    rows = TextTokenizer(saved(build_tokenizer("wordpiece"), tmp_path), max_tokens=16).pair_rows([])
    assert (len(rows), rows.truncated, rows.ids.dtype, rows.token_type_ids) == (0, 0, np.int32, None)


@pytest.mark.parametrize("limit", [3, 4])
def test_room_for_texts(tmp_path, limit):
    tokenizer = TextTokenizer(saved(build_tokenizer("wordpiece"), tmp_path), max_tokens=limit)
    if limit == 4:
        assert tokenizer.pair_rows([("of and", "to")]).lengths.tolist() == [4]
        return
    with pytest.raises(ArtifactError, match="pairs with 3 special tokens, and max_tokens is 3"):
        tokenizer.pair_rows([("of", "to")])


def test_a_tokenizer_that_gives_no_tokens_for_a_text_writes_no_pairs(tmp_path):
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Replace(Regex("."), "")
    with pytest.raises(ArtifactError, match="writes no pairs"):
        TextTokenizer(saved(tokenizer, tmp_path), max_tokens=16).pair_rows([("a", "b")])


def test_an_id_beyond_the_table_is_an_error(tmp_path):
    tokenizer = TextTokenizer(saved(build_tokenizer("wordpiece"), tmp_path), max_tokens=16, table_rows=100)
    with pytest.raises(ArtifactError, match=r"gives the token id \d+, but the .* has 100 rows"):
        tokenizer.pair_rows([("a", "hello world text")])
