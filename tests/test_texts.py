"""The one reader of texts: lines, JSON lines, stdin, and files that are neither."""

from __future__ import annotations

import gc
import io
import logging
import os
import sys
import threading

import pytest

from stonnx.errors import UsageError
from stonnx.texts import iter_texts, read_texts

JSON_LINES = '{"text": "one\\ntwo"}\n\n{"text": "", "n": 1}\n'


@pytest.fixture
def write(tmp_path):
    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


@pytest.fixture
def piped(monkeypatch):
    def pipe(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode()), encoding="ascii"))

    return pipe


def test_a_line_ends_with_a_line_feed_and_nothing_else(write):
    path = write("a.txt", "one\n\n two \r\n今\u2028天\x0c\x85\rend")
    assert read_texts(path) == ("one", " two ", "今\u2028天\x0c\x85\rend")
    assert list(iter_texts(path, keep_empty=True)) == ["one", "", " two ", "今\u2028天\x0c\x85\rend"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.JSONL", "a.NdJson"])
def test_json_lines_are_known_by_their_name(write, name):
    assert read_texts(write(name, JSON_LINES)) == ("one\ntwo", "")


def test_json_lines_of_any_name(write, piped):
    assert read_texts(write("a.txt", JSON_LINES), jsonl=True) == ("one\ntwo", "")
    piped(JSON_LINES)
    assert read_texts("-", jsonl=True) == ("one\ntwo", "")


def test_one_byte_order_mark_is_no_text(write, piped):
    assert read_texts(write("a.txt", "\ufeff\ufeffone\n\ufefftwo")) == ("\ufeffone", "\ufefftwo")
    assert read_texts(write("a.jsonl", "\ufeff" + JSON_LINES)) == ("one\ntwo", "")
    piped("\ufeffone\n")
    assert read_texts("-") == ("one",)


def test_a_file_that_is_called_like_stdin_has_another_spelling(write, piped, monkeypatch):
    monkeypatch.chdir(write("-", "of the file").parent)
    piped("of stdin")
    assert (read_texts("-"), read_texts("./-")) == (("of stdin",), ("of the file",))


def test_texts_come_while_the_writer_still_writes():
    """Line by line: whoever writes on only after an answer is not kept waiting."""
    read, write = os.pipe()
    answered = threading.Event()

    def writer():
        with os.fdopen(write, "wb", buffering=0) as stream:
            stream.write(b"one\n")
            answered.wait(60)
            stream.write(b"two\n")

    thread = threading.Thread(target=writer)
    thread.start()
    texts = iter_texts(f"/dev/fd/{read}")
    assert next(texts) == "one"
    answered.set()
    assert list(texts) == ["two"]
    thread.join()
    os.close(read)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "\n\n", "a.txt has no texts"),
        ("a.jsonl", '{"text": 1}', "line 1: text is 1; expected a text"),
        ("a.jsonl", '{"txt": "a"}', "line 1: text is missing"),
        ("a.jsonl", '{"text": "a"}\n[1]', "line 2 holds a list"),
        ("a.jsonl", "\n{", "line 2: not JSON .* at character 2"),
        ("a.jsonl", '{"text": "a", "n": ' + "9" * 10_000 + "}", "line 1: not JSON .a number of thousands of digits"),
        ("a.jsonl", "[" * 200_000, "line 1: not JSON .nested too deeply"),
        ("latin.txt", b"fine\ncaf\xe9", "latin.txt, line 2: not UTF-8"),
        ("wide.txt", "text".encode("utf-16"), "wide.txt, line 1: not UTF-8"),
    ],
)
def test_bad_texts(write, name, content, message):
    with pytest.raises(UsageError, match=message):
        read_texts(write(name, content))


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match=r"none.txt cannot be read: No such file"):
        iter_texts(tmp_path / "none.txt")  # at once, not with the first text
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory"):
        read_texts(tmp_path)
    with pytest.raises(UsageError, match="null"):
        read_texts("a\0b")


def test_a_file_that_nobody_reads_on_is_closed(write, recwarn):
    for name, content in (("a.txt", "one\ntwo\n"), ("a.jsonl", JSON_LINES)):
        iter_texts(write(name, content))
        assert next(iter_texts(write(name, content))).startswith("one")
    gc.collect()
    assert [str(warning.message) for warning in recwarn if warning.category is ResourceWarning] == []


def test_stdin_that_is_closed_or_empty(monkeypatch, piped):
    piped("")
    with pytest.raises(UsageError, match="stdin has no texts"):
        read_texts("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="stdin is closed"):
        read_texts("-")


def test_json_lines_that_are_not_called_so_are_told_once(write, caplog):
    path = write("a.txt", "first\n" + '{"text": "a"}\n' * 5)
    assert len(read_texts(path)) == 6
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "a.txt has lines that look like JSON objects" in caplog.text
    assert caplog.records[0].cli_hint.startswith("--jsonl")


@pytest.mark.parametrize(
    "content", ['{"txt": "a"}', "{not json", '["text"]', '{"text": 1}', "{" * 100_000, "a\n" * 30 + '{"text": "a"}']
)
def test_other_lines_are_just_texts(write, caplog, content):
    assert read_texts(write("a.txt", content))
    assert caplog.records == []
