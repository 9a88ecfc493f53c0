"""``stonnx encode``, with an encoder that counts letters."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from stonnx.cli import encode, main


def piped(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="ascii"))


def lines_of(capsys):
    out, err = capsys.readouterr()
    return [json.loads(line) for line in out.splitlines()], err


def test_json_lines_give_back_the_very_same_floats(fake_encoder, capsys):
    assert main(["encode", "A", "one", "three"]) == 0
    rows, err = lines_of(capsys)
    assert err == ""
    assert [row["index"] for row in rows] == [0, 1]
    expected = np.array([[3, 0.1, -1 / 3, 1e-9], [5, 0.1, -1 / 3, 1e-9]], dtype=np.float32)
    np.testing.assert_array_equal(np.array([row["embedding"] for row in rows], dtype=np.float32), expected)


def test_every_option_reaches_the_encoder(fake_encoder, capsys):
    options = ["--prompt", "p: ", "--truncate-dim", "2", "--normalize", "--variant", "fp32"]
    assert main(["encode", "A", "x", *options, "--threads", "3", "--batch-tokens", "99"]) == 0
    last = fake_encoder.last
    assert (last.artifact, last.options) == ("A", {"variant": "fp32", "threads": 3})
    assert last.calls == [
        {"prompt": "p: ", "prompt_name": None, "truncate_dim": 2, "normalize": True, "batch_tokens": 99}
    ]
    assert last.closed


def test_defaults_leave_everything_to_the_model(fake_encoder, capsys):
    assert main(["encode", "A", "x", "--prompt-name", "query"]) == 0
    assert fake_encoder.last.options == {"variant": "auto", "threads": None}
    assert fake_encoder.last.calls[0] == {
        "prompt": None,
        "prompt_name": "query",
        "truncate_dim": None,
        "normalize": False,
        "batch_tokens": None,
    }


def test_stdin_gives_a_text_per_line_empty_ones_included(fake_encoder, capsys, monkeypatch):
    piped(monkeypatch, "a\n\nabc")
    assert main(["encode", "A"]) == 0
    assert [row["embedding"][0] for row in lines_of(capsys)[0]] == [1, 0, 3]


def test_a_file_gives_a_text_per_line_empty_ones_included(fake_encoder, capsys):
    Path("texts.txt").write_bytes("\ufeffa\n\n你好\u2028\r\nabc\n".encode())
    assert main(["encode", "A", "--file", "texts.txt"]) == 0
    assert [row["embedding"][0] for row in lines_of(capsys)[0]] == [1, 0, 3, 3]


def test_json_lines_as_a_file(fake_encoder, capsys):
    Path("texts.jsonl").write_text('{"text": "ab"}\n{"text": "a\\nb", "id": 1}\n')
    assert main(["encode", "A", "--file", "texts.jsonl"]) == 0
    assert [row["embedding"][0] for row in lines_of(capsys)[0]] == [2, 3]


def test_json_lines_on_stdin(fake_encoder, capsys, monkeypatch):
    piped(monkeypatch, '{"text": "ab"}\n{"text": "abc"}\n')
    assert main(["encode", "A", "--jsonl"]) == 0
    assert [row["embedding"][0] for row in lines_of(capsys)[0]] == [2, 3]


def test_what_looks_like_json_lines_is_warned_about(fake_encoder, capsys, monkeypatch):
    piped(monkeypatch, '{"text": "ab"}\n{"text": "abc"}\n')
    assert main(["encode", "A"]) == 0
    rows, err = lines_of(capsys)
    assert [row["embedding"][0] for row in rows] == [14, 15]
    assert err.count("warning: stdin has lines that look like JSON objects") == 1
    assert "\nhint: --jsonl " in err
    piped(monkeypatch, '{"text": "ab"}\n')
    assert main(["encode", "A", "--quiet"]) == 0
    assert lines_of(capsys)[1] == ""


def test_a_dash_is_stdin(fake_encoder, capsys, monkeypatch):
    piped(monkeypatch, "abcd\n")
    assert main(["encode", "A", "--file", "-"]) == 0
    assert lines_of(capsys)[0][0]["embedding"][0] == 4


def test_long_input_is_encoded_in_chunks_and_numbered_through(fake_encoder, capsys, monkeypatch):
    monkeypatch.setattr(encode, "_CHUNK_TEXTS", 2)
    piped(monkeypatch, "a\nb\nc\nd\ne\n")
    assert main(["encode", "A"]) == 0
    assert [row["index"] for row in lines_of(capsys)[0]] == [0, 1, 2, 3, 4]
    assert len(fake_encoder.last.calls) == 3


def test_truncated_texts_are_told(fake_encoder, capsys):
    assert main(["encode", "A", "x" * 300, "y"]) == 0
    assert lines_of(capsys)[1] == "note: 1 text cut to the model's 256 tokens\n"
    assert main(["encode", "A", "x" * 300, "--quiet"]) == 0
    assert lines_of(capsys)[1] == ""


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, ["x", "--file", "f.txt"], "twice"),
        (None, ["x", "--jsonl"], "--jsonl says how to read --file or stdin"),
        (None, ["--file", "f.txt"], "f.txt cannot be read"),
        (b"\xd6\xd0\xce\xc4\n", ["--file", "f.txt"], "f.txt, line 1: not UTF-8"),
    ],
)
def test_mistakes_with_texts(fake_encoder, capsys, content, arguments, message):
    if content is not None:
        Path("f.txt").write_bytes(content)
    assert main(["encode", "A", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


@pytest.mark.parametrize("stdin", [None, "terminal"])
def test_nobody_gives_a_text(fake_encoder, capsys, monkeypatch, stdin):
    keyboard = io.StringIO()
    keyboard.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", stdin and keyboard)
    assert main(["encode", "A"]) == 2
    assert "no texts" in capsys.readouterr().err


def test_not_a_number_is_an_error(fake_encoder, capsys, monkeypatch):
    monkeypatch.setattr(fake_encoder, "encode", lambda *args, **options: np.full((1, 4), np.nan, np.float32))
    assert main(["encode", "A", "x"]) == 6
    assert capsys.readouterr().out == ""


def test_a_person_sees_a_table_and_cosines(fake_encoder, capsys, terminal):
    assert main(["encode", "A", "a very long text " * 10, "\x1b[31mred", "短"]) == 0
    out = re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out)  # bold is no colour
    assert max(map(len, out.splitlines())) <= 80
    assert "4 components" in out
    assert "Cosine similarity" in out
    assert "\\x1b[31mred" in out
    assert "1.00" in out
    assert "\x1b" not in out


def test_a_person_is_not_flooded(fake_encoder, capsys, terminal):
    assert main(["encode", "A", *map(str, range(100))]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) < 30
    assert "80 more texts" in out
    assert "Cosine" not in out


def test_json_on_a_terminal_is_json(fake_encoder, capsys, terminal):
    assert main(["encode", "A", "x", "--json"]) == 0
    assert lines_of(capsys)[0][0]["index"] == 0


def test_nothing_to_show(fake_encoder, capsys, terminal, monkeypatch):
    piped(monkeypatch, "")
    assert main(["encode", "A"]) == 0
    assert "No texts" in capsys.readouterr().out
