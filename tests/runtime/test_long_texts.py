"""Long texts are cut before they are tokenized, and nobody can tell from the rows."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers

from stonnx.runtime import tokenize
from stonnx.runtime.long_texts import prefix, safe_cuts
from stonnx.runtime.tokenize import TextTokenizer
from stonnx.testing._tokenizers import build_tokenizer

MAX_TOKENS = 9


def xlm_r(tokenizer):
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])


def mpnet(tokenizer):
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True), AddedToken("hello", single_word=True)])
    tokenizer.add_tokens([AddedToken("the", rstrip=True, normalized=True)])


def digits(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel()]
    )


def accents(tokenizer):
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()


def first_only(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")


def as_it_is(_):
    pass


KINDS = {
    ("wordpiece", as_it_is),
    ("wordpiece", mpnet),
    ("wordpiece", accents),
    ("bpe", as_it_is),
    ("bpe", mpnet),
    ("bpe", digits),
    ("unigram", as_it_is),
    ("unigram", xlm_r),
    ("unigram", mpnet),
    ("unigram", first_only),
}


@functools.cache
def tokenizers_of(family, change):
    """Two of a kind: one that cuts early, and one that never does."""
    tokenizer = build_tokenizer(family)
    change(tokenizer)
    file = Path(tempfile.mkdtemp()) / "tokenizer.json"
    tokenizer.save(str(file))
    early, whole = (TextTokenizer(file, max_tokens=MAX_TOKENS) for _ in range(2))
    whole.__dict__["_cuts"] = None
    file.unlink()
    file.parent.rmdir()
    assert early._cuts is not None
    return early, whole


WORDS = st.sampled_from(
    ["the", "hello", "of", "and", "aa", "b", "7", "42", "'s", "<mask>", "[SEP]", "▁", "é", "e\u0301", "ﬁ", "Σ", "🙂"]
)
SPACES = st.sampled_from([" ", " ", "  ", "\n", "\t", "\u3000", "\u00a0", "", "-", "\u0301", "\x00", " \u200d"])
HAN = st.text("今天是周五啦，。", min_size=1, max_size=6)
TEXTS = st.lists(st.tuples(WORDS | HAN, SPACES), max_size=40).map(lambda parts: "".join(map("".join, parts)))


@pytest.mark.parametrize(("family", "change"), sorted(KINDS, key=str))
@settings(deadline=None, max_examples=150)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=3),
    prompt=st.sampled_from(["", "of ", "the"]),
    per_token=st.integers(1, 3),
)
def test_rows_are_those_of_the_whole_texts(family, change, texts, prompt, per_token):
    early, whole = tokenizers_of(family, change)
    before = tokenize._CHARACTERS_PER_TOKEN
    try:
        tokenize._CHARACTERS_PER_TOKEN = per_token
        found = early.rows(texts, prompt=prompt, parallel=False)
    finally:
        tokenize._CHARACTERS_PER_TOKEN = before
    expected = whole.rows(texts, prompt=prompt, parallel=False)
    assert found.ids.tolist() == expected.ids.tolist()
    assert (found.offsets.tolist(), found.truncated) == (expected.offsets.tolist(), expected.truncated)


@pytest.mark.parametrize("text", ["hello world " * 100_000, "今天是周五啦" * 200_000])
def test_little_of_a_long_text_is_tokenized(text, monkeypatch):
    early, whole = tokenizers_of("wordpiece", as_it_is)
    seen = []
    encode = TextTokenizer._encode_one
    monkeypatch.setattr(
        TextTokenizer,
        "_encode_one",
        lambda self, given, **options: (seen.append(len(given)), encode(self, given, **options))[1],
    )
    found = early.rows([text])
    assert sum(seen) < 1000
    assert (found.ids.tolist(), found.truncated) == (whole.rows([text[:5000]]).ids.tolist(), 1)


def test_a_prefix_grows_until_it_is_long_enough():
    early, whole = tokenizers_of("wordpiece", as_it_is)
    for words in (1, 5, 30):  # of 200 characters, which WordPiece gives up: one token each
        text = ("a" * 200 + " ") * words
        found, expected = early.rows([text]), whole.rows([text])
        assert (found.ids.tolist(), found.truncated) == (expected.ids.tolist(), expected.truncated)


def test_prefixes():
    cuts = safe_cuts(build_tokenizer("bpe"))
    assert prefix("ab cd ef", cuts, characters=1) == "ab"
    assert prefix("ab cd ef", cuts, characters=3) == "ab cd"
    assert prefix("ab  cd- ef", cuts, characters=0) == "ab  cd- ef"
    assert prefix("今天", cuts, characters=0) == "今天"
    assert prefix("今天是", safe_cuts(build_tokenizer("wordpiece")), characters=2) == "今天"


def space_in_a_token(tokenizer):
    tokenizer.add_tokens(["of and"])


def chinese_token(tokenizer):
    tokenizer.add_tokens(["今天"])


def no_splitter(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)


def hidden_spaces(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.ByteLevel(use_regex=False), pre_tokenizers.WhitespaceSplit()]
    )


def own_pattern(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+ \w+"), "isolated")


def own_replacement(tokenizer):
    tokenizer.normalizer = normalizers.Replace(" ", "")


def own_regex(tokenizer):
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex("a b"), "c")])


def dropout(tokenizer):
    tokenizer.model.dropout = 0.5


def none_at_all(tokenizer):
    tokenizer.pre_tokenizer = None


@pytest.mark.parametrize(
    "change",
    [
        space_in_a_token,
        chinese_token,
        no_splitter,
        hidden_spaces,
        own_pattern,
        own_replacement,
        own_regex,
        dropout,
        none_at_all,
    ],
)
def test_where_nothing_is_proven_texts_stay_whole(change):
    tokenizer = build_tokenizer("bpe")
    change(tokenizer)
    assert safe_cuts(tokenizer) is None
