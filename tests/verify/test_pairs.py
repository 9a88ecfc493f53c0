"""Labelled pairs from files, and files that are something else."""

from __future__ import annotations

import io
import sys

import pytest

from stonnx.errors import UsageError
from stonnx.verify import LabelledPair, read_pairs


@pytest.fixture
def write(tmp_path):
    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode())
        return path

    return make


PAIRS = (LabelledPair("a, b", "c", 4.5), LabelledPair("d", "e", 0.0))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", '{"s1": "a, b", "s2": "c", "score": 4.5}\n{"s1": "d", "s2": "e", "score": 0}'),
        ("p.ndjson", '\ufeff{"s1": "a, b", "s2": "c", "score": 4.5}\n{"s1": "d", "s2": "e", "score": 0}'),
        ("p.csv", 'first,second,score\n"a, b",c,4.5\nd,e,0\n'),
        ("p.CSV", '\ufeff"a, b",c,4.5\r\n\r\nd,e,0\r\n'),
        ("p.tsv", "a, b\tc\t4.5\n\nd\te\t0\n"),
        ("p.tsv", "\ufeffs1\ts2\tscore\r\na, b\tc\t4.5\r\nd\te\t0"),
    ],
)
def test_pairs(write, name, content):
    assert read_pairs(write(name, content)) == PAIRS


def test_stdin_is_a_table_with_tabs(monkeypatch):
    content = "a, b\tc\t4.5\nd\te\t0\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert read_pairs("-") == PAIRS


def test_a_table_with_tabs_has_no_quotes(write):
    pairs = read_pairs(write("p.tsv", '"open\tb\t1\n"c"\td\t2\n'))
    assert pairs == (LabelledPair('"open', "b", 1.0), LabelledPair('"c"', "d", 2.0))


def test_quotes_of_csv(write):
    pairs = read_pairs(write("p.csv", '"two\nlines","say ""hi""",1\nc,d,2\n'))
    assert pairs == (LabelledPair("two\nlines", 'say "hi"', 1.0), LabelledPair("c", "d", 2.0))


@pytest.mark.parametrize(("name", "between"), [("p.csv", ","), ("p.tsv", "\t")])
def test_only_a_line_feed_ends_a_row(write, name, between):
    text = "今\u2028天\x0c\x85"
    pairs = read_pairs(write(name, f"{text}{between}b{between}1\nc{between}d{between}2"))
    assert pairs == (LabelledPair(text, "b", 1.0), LabelledPair("c", "d", 2.0))


def test_a_long_text_in_a_table_with_tabs(write):
    assert len(read_pairs(write("p.tsv", "a" * 200_000 + "\tb\t1\nc\td\t2"))[0].first) == 200_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.csv", "a,b,1", "1 labelled pairs"),
        ("p.csv", "a,b,1\nc,d", "line 2: 2 columns"),
        ("p.csv", "a,b,1\nc,d,high", "line 2: the score 'high'"),
        ("p.csv", "a,b,nan\nc,d,1", "line 1: the score 'nan' is not a finite number"),
        ("p.csv", '"a\nb",c,1\nd,e,nan', "line 3: the score 'nan'"),
        ("p.tsv", "a\tb\t1\nc\td\tinf", "line 2: the score 'inf' is not a finite number"),
        ("p.tsv", "a\tb\t1\nc\td\t-Infinity", "line 2: the score '-Infinity'"),
        ("p.csv", 'a,b,1\n"c,d,2\ne,f,3', "line 2: not CSV"),
        ("p.csv", "a,b,1\n" + "c" * 200_000 + ",d,2", "line 2: not CSV .field larger"),
        ("p.jsonl", '{"s1": "a", "s2": "b", "score": true}', "score is True; expected a number"),
        ("p.jsonl", '{"s1": "a", "s2": "b", "score": NaN}', "score is nan"),
        ("p.jsonl", '{"s1": "a", "s2": "b", "score": ' + "9" * 4000 + "}", "score is 9999"),
        ("p.jsonl", '{"s1": "a", "s2": "b", "score": ' + "9" * 10_000 + "}", "line 1: not JSON"),
        ("p.jsonl", '{"s1": "a", "score": 1}', "s2 is missing"),
        ("p.tsv", "a\tb\t2.5\nc\td\t2.50", "the score 2.5 in all of its 2 pairs"),
    ],
)
def test_bad_pairs(write, name, content, message):
    with pytest.raises(UsageError, match=message):
        read_pairs(write(name, content))
