"""The shipped probe texts cover what they promise to cover."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from importlib import resources

import pytest

from stonnx.verify.probes import Probe, probe_texts, probes

# The least number of probes of each kind.
REQUIRED = {
    "empty": 1,
    "whitespace": 2,
    "one-char": 4,
    "chinese-simplified": 12,
    "chinese-traditional": 6,
    "english": 15,
    "arabic": 4,
    "hindi": 4,
    "emoji": 4,
    "code": 4,
    "url": 2,
    "email": 1,
    "control": 6,
    "surrogate": 3,
    "combining": 4,
    "full-width": 2,
    "near-duplicate": 10,
    "repeated": 2,
    "long-128-en": 1,
    "long-256-en": 1,
    "long-512-en": 1,
    "long-128-zh": 1,
    "long-256-zh": 1,
    "long-512-zh": 1,
}


def split_pieces(text: str) -> list[str]:
    """Words and Chinese characters, without punctuation: never more than there are WordPiece tokens."""
    return re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+", text)


def of_kind(kind: str) -> list[str]:
    return [probe.text for probe in probes() if probe.kind == kind]


def is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def test_there_are_about_a_hundred() -> None:
    assert 90 <= len(probes()) <= 140


def test_texts_match_probes_and_none_appears_twice() -> None:
    assert probe_texts() == tuple(probe.text for probe in probes())
    assert len(set(probe_texts())) == len(probe_texts())


def test_every_probe_is_text_of_a_short_kind() -> None:
    for probe in probes():
        assert isinstance(probe, Probe)
        assert isinstance(probe.text, str)
        assert re.fullmatch(r"[a-z0-9-]{1,24}", probe.kind)


@pytest.mark.parametrize(("kind", "at_least"), REQUIRED.items())
def test_required_kinds_are_there(kind: str, at_least: int) -> None:
    assert Counter(probe.kind for probe in probes())[kind] >= at_least


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("tokens", [128, 256, 512])
def test_long_probes_exceed_their_length(tokens: int, language: str) -> None:
    for text in of_kind(f"long-{tokens}-{language}"):
        assert len(split_pieces(text)) > tokens


@pytest.mark.parametrize("language", ["en", "zh"])
def test_long_probes_are_prose_and_not_one_word_repeated(language: str) -> None:
    for text in of_kind(f"long-512-{language}"):
        pieces = split_pieces(text)
        assert len(set(pieces)) > 150


def test_repeated_probes_repeat_one_word() -> None:
    for text in of_kind("repeated"):
        pieces = split_pieces(text)
        assert len(set(pieces)) == 1
        assert len(pieces) > 256


def test_surrogates_survive_the_file() -> None:
    texts = of_kind("surrogate")
    for text in texts:
        assert any(map(is_surrogate, text))
        with pytest.raises(UnicodeEncodeError):
            text.encode("utf-8")
    high, low = ("\ud800", "\udbff"), ("\udc00", "\udfff")
    for first, last in (high, low):
        assert any(first <= character <= last for text in texts for character in text)
    assert any(not is_surrogate(text[0]) and not is_surrogate(text[-1]) for text in texts)


def test_only_surrogate_probes_hold_surrogates() -> None:
    for probe in probes():
        assert any(map(is_surrogate, probe.text)) == (probe.kind == "surrogate")


@pytest.mark.parametrize("character", ["\0", "\a", "\u200b", "\ufeff", "\u202e", "\u200f", "\t", "\n"])
def test_control_characters_are_there(character: str) -> None:
    assert any(character in text for text in of_kind("control"))


@pytest.mark.parametrize("character", ["\u200d", "\U0001f3fd", "\U0001f1ef"], ids=["joiner", "skin tone", "flag"])
def test_emoji_sequences_are_there(character: str) -> None:
    assert any(character in text for text in of_kind("emoji"))


def test_combining_accents_come_composed_and_decomposed() -> None:
    texts = of_kind("combining")
    composed = [text for text in texts if unicodedata.normalize("NFD", text) != text]
    assert len(composed) >= 2
    for text in composed:
        assert unicodedata.normalize("NFD", text) in texts


def test_the_sentence_of_the_first_tutorials_is_there() -> None:
    sentence = "\u4eca\u5929\u662f\u5468\u4e94\u5566"
    assert any(text.startswith(sentence) for text in of_kind("chinese-simplified"))


def test_the_file_is_ascii() -> None:
    data = resources.files("stonnx.verify").joinpath("probes.json").read_bytes()
    assert data.isascii()
    assert len(data) < 100_000
