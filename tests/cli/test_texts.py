"""Every verb that takes texts takes them from the same places, read in the same way."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from stonnx.cli import main
from stonnx.errors import RunError

VERBS = {
    "tune": (["tune", "art", "--texts"], "stonnx.tune.tune"),
    "bench": (["bench", "art", "--texts"], "stonnx.bench.run_bench"),
    "verify": (["verify", "art", "--texts"], "stonnx.verify.verify"),
    "convert": (["convert", "S", "O", "--calibrate"], "stonnx.compile.convert"),
    "quantize": (["quantize", "art", "--calibrate"], "stonnx.compile.quantize_artifact"),
    "encode": (["encode", "art", "--file"], "tests.cli.conftest.FakeEncoder.encode"),
}


@pytest.fixture(params=VERBS)
def read(request, monkeypatch, artifact, fake_encoder):
    """A function: the file and the options in, the texts that the verb's work gets out; and how it ends."""
    arguments, work = VERBS[request.param]

    def read_texts(*options):
        seen = []

        def stop(*given, **named):
            seen.extend(next(value for value in (*given, *named.values()) if isinstance(value, (tuple, list))))
            raise RunError("That is enough.")

        monkeypatch.setattr(work, stop)
        return main([*arguments, *options]), seen

    read_texts.verb = request.param
    return read_texts


@pytest.mark.parametrize("name", ["t.txt", "t.jsonl", "t.NDJSON"])
def test_a_file(read, name):
    lines = ["one", "two\u2028"] if name == "t.txt" else ['{"text": "one"}', '{"text": "two\u2028"}']
    Path(name).write_bytes(("\ufeff" + "\r\n".join(lines)).encode())
    assert read(name) == (6, ["one", "two\u2028"])


def test_stdin(read, monkeypatch):
    def pipe(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="ascii"))

    pipe("one\n二\n")
    assert read("-") == (6, ["one", "二"])
    pipe('{"text": "one"}\n{"text": "二"}\n')
    assert read("-", "--jsonl") == (6, ["one", "二"])


def test_an_empty_line_is_a_text_to_encode_and_nothing_to_measure_on(read):
    Path("t.txt").write_text("one\n\ntwo\n", encoding="utf-8")
    assert read("t.txt") == (6, ["one", "", "two"] if read.verb == "encode" else ["one", "two"])


def test_a_bad_line_is_a_mistake_with_its_number(read, capsys):
    Path("t.jsonl").write_text('{"text": "one"}\n{"text": ' + "9" * 10_000 + "}\n", encoding="utf-8")
    assert read("t.jsonl")[0] == 2
    assert "error: t.jsonl, line 2: not JSON (a number of thousands of digits)." in capsys.readouterr().err


def test_what_looks_like_json_lines_is_told(read, capsys):
    Path("t.txt").write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
    assert read("t.txt")[0] == 6
    err = capsys.readouterr().err
    assert err.count("warning: t.txt has lines that look like JSON objects") == 1
    assert "hint: --jsonl reads JSON lines" in err
