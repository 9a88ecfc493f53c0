"""``stonnx convert``: what is passed on and what is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stonnx.artifact import Artifact
from stonnx.cli import main
from stonnx.compile import Conversion, Unverified
from stonnx.errors import VerificationError
from tests.cli.conftest import make_report
from tests.rerankers import write_reranker

DEFAULT = {"force": False, "verify": True, "int8": None, "calibration_texts": None}


@pytest.fixture
def fake_convert(monkeypatch, artifact):
    """Stands in for ``convert``; ``calls`` has the arguments, ``result`` may be replaced."""

    def convert(source, out, *, on_step, on_part, on_variant, **options):
        convert.calls.append((source, out, options))
        on_step("reading")
        on_step("authoring")
        on_part(1, 2)
        return convert.result

    convert.calls = []
    convert.result = Conversion(
        path=Path("art"),
        manifest=Artifact.open(artifact).manifest,
        report=make_report(),
        unverified=None,
        notes=("no modules.json: mean pooling, as sentence-transformers does " * 2,),
        unused_tensors=tuple(f"bert.pooler.dense.{name}" for name in "abcdef"),
        seconds={"read": 0.12, "author": 1.5, "verify": 75.0},
    )
    monkeypatch.setattr("stonnx.compile.convert", convert)
    return convert


def test_a_person_sees_steps_and_summary_in_eighty_columns(fake_convert, capsys):
    assert main(["convert", "org/model@main", "art"]) == 0
    out, err = capsys.readouterr()
    assert fake_convert.calls == [("org/model@main", "art", DEFAULT)]
    assert err == "Converting org/model@main\n  reading\n  authoring\n"
    assert max(map(len, out.splitlines())) <= 80
    for part in (
        "bert",
        "256 tokens",
        "Pooling(",
        "onnx/model.onnx_data",
        "4.2e-07",
        "pass",
        "sentence-transformers 6.2.0",
        "no modules.json: mean pooling",
        "6 tensors",
        "bert.pooler.dense.a",
        "2 more",
        "0.12 s",
        "1 min 15 s",
        'stonnx encode art "your text"',
    ):
        assert part in out
    assert "UNVERIFIED" not in out


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        (1, 'stonnx rerank art "a query" "a document" "another document"'),
        (3, 'stonnx.Reranker.load(\'art\').predict(("a text", "another text"))'),
    ],
)
def test_the_next_command_runs_the_model(fake_convert, tmp_path, capsys, labels, line):
    manifest = write_reranker(tmp_path / "R", labels=labels).manifest
    fake_convert.result = replace(fake_convert.result, manifest=manifest, report=None)
    assert main(["convert", "org/model", "art"]) == 0
    out = capsys.readouterr().out
    assert f"  {line}" in out
    assert ("stonnx rerank" in out) == (labels == 1)


def test_options_are_passed_on(fake_convert, capsys):
    assert main(["convert", "S", "O", "--force", "--no-verify", "--quiet"]) == 0
    assert fake_convert.calls == [("S", "O", {**DEFAULT, "force": True, "verify": False})]
    assert capsys.readouterr().err == ""


def test_unverified_says_why_and_what_to_do(fake_convert, unverified, capsys):
    fake_convert.result = replace(
        fake_convert.result,
        manifest=Artifact.open(unverified).manifest,
        report=None,
        unverified=Unverified(reason="The original model cannot be run here.", extra="reference"),
        notes=(),
        unused_tensors=(),
    )
    assert main(["convert", "S", "O"]) == 0
    out = capsys.readouterr().out
    assert "UNVERIFIED" in out
    assert 'The original model cannot be run here. Install it with:\n  pip install "stonnx[reference]"' in out
    assert "Notes" not in out
    assert "stonnx verify art --against" in out


def test_json_says_why_it_is_unverified(fake_convert, unverified, capsys):
    reason = Unverified(reason="Verification was left out.")
    manifest = Artifact.open(unverified).manifest
    fake_convert.result = replace(fake_convert.result, manifest=manifest, report=None, unverified=reason)
    assert main(["convert", "S", "O", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["unverified"] == {"reason": "Verification was left out.", "extra": None}
    assert main(["convert", "S", "O"]) == 0
    out = capsys.readouterr().out
    assert "Verification was left out.\n" in out
    assert "Install it" not in out


def test_json(fake_convert, capsys):
    assert main(["convert", "S", "O", "--json"]) == 0
    out, err = capsys.readouterr()
    value = json.loads(out)
    assert value.keys() == {
        *("path", "verified", "manifest", "report"),
        *("unverified", "notes", "unused_tensors", "seconds"),
    }
    assert (value["verified"], value["report"]["passed"], len(value["unused_tensors"])) == (True, True, 6)
    assert "reading" in err


def test_a_failed_verification_is_code_five(monkeypatch, capsys):
    def convert(*args, on_step, **options):
        on_step("verifying")
        raise VerificationError("It is not the original.", hint="--no-verify keeps it.")

    monkeypatch.setattr("stonnx.compile.convert", convert)
    assert main(["convert", "S", "O", "--json"]) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("error: It is not the original.\nhint: --no-verify keeps it.\n")


def test_int8_may_be_insisted_on_or_left_out(fake_convert):
    Path("mine.txt").write_text("one\ntwo\n", encoding="utf-8")
    for options in (["--int8"], ["--no-int8"], ["--calibrate", "mine.txt"], ["--int8", "--calibrate", "mine.txt"]):
        assert main(["convert", "S", "O", *options, "--quiet"]) == 0
    texts = ("one", "two")
    assert [options for _, _, options in fake_convert.calls] == [
        {**DEFAULT, "int8": True},
        {**DEFAULT, "int8": False},
        {**DEFAULT, "calibration_texts": texts},
        {**DEFAULT, "int8": True, "calibration_texts": texts},
    ]


def test_calibrate_with_no_int8_is_a_mistake(fake_convert, capsys):
    assert main(["convert", "S", "O", "--no-int8", "--calibrate", "mine.txt"]) == 2
    assert "hint: Leave --no-int8 out." in capsys.readouterr().err
    assert fake_convert.calls == []


def test_jsonl_without_calibrate_is_a_mistake(fake_convert, capsys):
    assert main(["convert", "S", "O", "--int8", "--jsonl"]) == 2
    assert "hint: Add --calibrate FILE." in capsys.readouterr().err
