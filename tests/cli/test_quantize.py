"""``stonnx quantize``: what is passed on and what is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stonnx.artifact import Artifact
from stonnx.cli import main
from stonnx.compile import Quantization
from stonnx.errors import UsageError, VerificationError
from tests.cli.conftest import make_report


@pytest.fixture
def fake(monkeypatch, artifact):
    """Stands in for ``quantize_artifact``; ``calls`` has the arguments, ``result`` may be replaced."""

    def quantize_artifact(path, *, on_step, on_part, on_variant, **options):
        quantize_artifact.calls.append((path, options))
        on_step("quantising to int8")
        on_part(1, 2)
        if isinstance(quantize_artifact.result, Exception):
            raise quantize_artifact.result
        return quantize_artifact.result

    quantize_artifact.calls = []
    quantize_artifact.result = Quantization(
        path=Path("art"),
        manifest=Artifact.open(artifact).manifest,
        added=("int8", "openvino-int8"),
        replaced=(),
        report=make_report(),
        notes=("int8: high, 3 of 24 projections in float32 " * 3,),
        seconds={"read": 0.1, "quantize": 12.0, "verify": 4.0},
    )
    monkeypatch.setattr("stonnx.compile.quantize_artifact", quantize_artifact)
    return quantize_artifact


def test_a_person_sees_it_in_eighty_columns(fake, capsys):
    assert main(["quantize", "art"]) == 0
    out, err = capsys.readouterr()
    assert fake.calls == [("art", {"force": False, "calibration_texts": None})]
    assert err == "Quantising art\n  quantising to int8\n"
    assert max(map(len, out.splitlines())) <= 80
    for part in (
        "added  int8, openvino-int8",
        "onnx/model.onnx_data",
        "4.2e-07",
        "3 of 24",
        "12.0 s",
        "stonnx tune art",
    ):
        assert part in out
    assert "instead of" not in out
    assert "UNVERIFIED" not in out


def test_what_was_replaced_and_what_is_unverified_is_told(fake, capsys):
    fake.result = replace(fake.result, replaced=("int8",), report=None)
    assert main(["quantize", "art", "--force", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert (err, fake.calls[0][1]["force"]) == ("", True)
    assert "instead of  int8" in out
    assert "UNVERIFIED" in out
    assert "stonnx verify art --against org/model-with-a-rather-long-name-v2" in out


def test_json(fake, capsys):
    Path("mine.txt").write_text("one\ntwo\n", encoding="utf-8")
    assert main(["quantize", "art", "--json", "--calibrate", "mine.txt"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value.keys() == {"path", "verified", "added", "replaced", "manifest", "report", "notes", "seconds"}
    assert (value["added"], value["report"]["passed"]) == (["int8", "openvino-int8"], True)
    assert fake.calls[0][1]["calibration_texts"] == ("one", "two")


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (UsageError("It has int8 already.", hint="force=True.", cli_hint="Replace it with --force."), 2, "--force"),
        (VerificationError("No int8 variant keeps a class."), 5, ""),
    ],
)
def test_errors_have_their_codes(fake, capsys, error, code, hint):
    fake.result = error
    assert main(["quantize", "art", "--json"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert error.message in err
    assert hint in err


def test_a_folder_that_is_no_artifact_is_code_three(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    assert main(["quantize", "folder"]) == 3
    assert "not a stonnx artifact" in capsys.readouterr().err
