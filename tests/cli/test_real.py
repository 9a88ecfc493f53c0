"""The verbs with nothing faked, on a tiny model: convert, info, encode, verify, bench, demo."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import stonnx
from stonnx.cli import demo, main
from stonnx.testing import TinyModel, make_tiny_model

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A folder with ``model`` and its unverified artifact ``out``."""
    folder = tmp_path_factory.mktemp("real")
    make_tiny_model(folder / "model", TinyModel(prompts={"query": "query: "}))
    assert main(["convert", str(folder / "model"), str(folder / "out"), "--no-verify", "--no-int8", "--quiet"]) == 0
    return folder


@pytest.fixture
def out(converted, monkeypatch, capsys) -> str:
    monkeypatch.chdir(converted)
    capsys.readouterr()
    return "out"


def test_info(out, capsys):
    assert main(["info", out, "--check"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "UNVERIFIED" in text


def test_an_existing_folder_is_refused_and_stays(out, capsys):
    before = {path: path.stat().st_mtime_ns for path in Path(out).rglob("*")}
    assert main(["convert", "model", out]) == 2
    assert "--force" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in Path(out).rglob("*")} == before


def test_encode_agrees_with_the_encoder(out, capsys):
    texts = ["a text", "", "another, much longer text " * 20]
    assert main(["encode", out, *texts]) == 0
    stdout, err = capsys.readouterr()
    vectors = np.array([json.loads(line)["embedding"] for line in stdout.splitlines()], dtype=np.float32)
    np.testing.assert_array_equal(vectors, stonnx.Encoder.load(out).encode(texts))
    assert err == "note: 1 text cut to the model's 64 tokens\n"  # once: the library's own warning is left out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--truncate-dim", "33"], 2, "33"),
        (["--prompt-name", "nope"], 2, "nope"),
        (["--variant", "nope"], 2, "portable"),
    ],
)
def test_encode_with_impossible_options(out, capsys, options, code, message):
    assert main(["encode", out, "x", *options]) == code
    stdout, err = capsys.readouterr()
    assert stdout == ""
    assert message in err


def test_verify_without_goldens_says_what_to_do(out, capsys):
    assert main(["verify", out]) == 2
    assert "--against" in capsys.readouterr().err


def test_a_model_folder_is_no_artifact(out, capsys):
    assert main(["encode", "model", "x"]) == 3
    assert "stonnx convert" in capsys.readouterr().err


def test_not_a_model(out, capsys, tmp_path):
    assert main(["convert", str(tmp_path), "other"]) == 3
    assert not Path("other").exists()


def test_ctrl_c_in_the_middle_leaves_nothing(out, capsys, monkeypatch):
    seen = []

    def interrupted(self, step):
        seen.append([path.name for path in Path().iterdir() if path.name.startswith(".other")])
        if len(seen) == 2:
            raise KeyboardInterrupt

    before = sorted(path.name for path in Path().iterdir())
    monkeypatch.setattr("stonnx.cli._progress.Steps.__call__", interrupted)
    assert main(["convert", "model", "other", "--no-verify"]) == 130
    assert len(seen[1]) == 1  # it was in the middle: there was a staging folder
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.slow
def test_bench_beside_the_portable_graph(out, capsys, monkeypatch):
    monkeypatch.setattr("stonnx.cli.bench.QUICK_SECONDS", 0.5)
    Path("texts.txt").write_text("".join(f"text number {at}\n" for at in range(80)))
    assert main(["bench", out, "--quick", "--texts", "texts.txt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sides"] == ["stonnx fp32", "stonnx portable"]


@pytest.mark.slow
def test_the_demo_without_the_original_side(converted, capsys, monkeypatch):
    """Skips the verification, measures beside the portable graph, and says so."""
    monkeypatch.chdir(converted)
    real, missing = importlib.util.find_spec, {"torch", "sentence_transformers"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in missing else real(name, *rest))
    monkeypatch.setattr("stonnx.cli.bench.QUICK_SECONDS", 0.5)
    assert main(["demo", "--model", "model"]) == 0
    first = capsys.readouterr().out
    assert max(map(len, first.splitlines())) <= 80
    assert 'pip install "stonnx[reference]"' in first
    assert "portable graph" in first
    assert 'stonnx encode stonnx-demo/model-onnx "your text"' in first
    assert main(["demo", "--model", "model", "--keep", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["verification"] is None
    assert value["convert_seconds"] is None
    assert len(value["cosines"]) == len(value["sentences"]) == len(demo._SENTENCES)


def in_locale(locale, *arguments, text=None):
    """The vectors that ``encode`` gives in a locale that Python does not overrule."""
    return subprocess.run(
        [sys.executable, "-m", "stonnx", "encode", *arguments],
        input=text,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": locale},
    )


def test_texts_are_utf8_in_any_locale(out):
    """Chinese in, through a pipe and as an argument, with an ASCII locale: the same vectors as in UTF-8."""
    results = [
        in_locale(locale, *arguments, text=text).stdout
        for locale in ("C", "C.UTF-8")
        for arguments, text in (((out,), "你好\n".encode()), ((out, "你好"), None))
    ]
    assert len(set(results)) == 1
    assert json.loads(results[0])["index"] == 0
    with_prompt = [in_locale(locale, out, "你", "--prompt", "好").stdout for locale in ("C", "C.UTF-8")]
    assert with_prompt[0] == with_prompt[1] != b""


def test_an_argument_that_is_not_utf8_is_a_mistake(out):
    for locale in ("C", "C.UTF-8"):
        result = in_locale(locale, out, b"caf\xe9")
        assert (result.returncode, result.stdout) == (2, b"")
        assert b"expected UTF-8, found 'caf" in result.stderr


def test_a_file_name_is_what_the_system_has_in_any_locale(out, tmp_path):
    texts = tmp_path / "文本.txt"
    texts.write_text("你好\n", encoding="utf-8")
    results = {in_locale(locale, out, "--file", str(texts)).stdout for locale in ("C", "C.UTF-8")}
    assert len(results) == 1
    assert b"embedding" in results.pop()
