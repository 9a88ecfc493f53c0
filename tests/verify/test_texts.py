"""Texts and labelled pairs from files, and files that are neither."""

from __future__ import annotations

import pytest

from stonnx.errors import UsageError
from stonnx.verify import LabelledPair, read_pairs, read_texts


@pytest.fixture
def write(tmp_path):
    def make(name, content):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return make


def test_lines(write):
    assert read_texts(write("a.txt", "one\n\n two \r\n今\u2028天")) == ("one", " two ", "今\u2028天")


def test_json_lines(write):
    assert read_texts(write("a.jsonl", '{"text": "one\\ntwo"}\n\n{"text": "", "n": 1}\n')) == ("one\ntwo", "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "no texts"),
        ("a.jsonl", '{"text": 1}', 'line 1: "text" is 1'),
        ("a.jsonl", '{"text": "a"}\n[1]', "line 2: list"),
        ("a.jsonl", "{", "line 1: not JSON"),
    ],
)
def test_bad_texts(write, name, content, message):
    with pytest.raises(UsageError, match=message):
        read_texts(write(name, content))


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_texts(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_texts(tmp_path / "latin.txt")


PAIRS = (LabelledPair("a, b", "c", 4.5), LabelledPair("d", "e", 0.0))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", '{"s1": "a, b", "s2": "c", "score": 4.5}\n{"s1": "d", "s2": "e", "score": 0}'),
        ("p.csv", 'first,second,score\n"a, b",c,4.5\nd,e,0\n'),
        ("p.tsv", "a, b\tc\t4.5\n\nd\te\t0\n"),
    ],
)
def test_pairs(write, name, content):
    assert read_pairs(write(name, content)) == PAIRS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.csv", "a,b,1", "1 labelled pairs"),
        ("p.csv", "a,b,1\nc,d", "line 2: 2 columns"),
        ("p.csv", "a,b,1\nc,d,high", "line 2: the score 'high'"),
        ("p.jsonl", '{"s1": "a", "s2": "b", "score": true}', '"score" is True'),
        ("p.jsonl", '{"s1": "a", "score": 1}', '"s2" is None'),
    ],
)
def test_bad_pairs(write, name, content, message):
    with pytest.raises(UsageError, match=message):
        read_pairs(write(name, content))
