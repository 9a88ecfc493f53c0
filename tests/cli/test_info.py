"""``stonnx info``."""

from __future__ import annotations

import json
from pathlib import Path

from stonnx.artifact import manifest_from_json
from stonnx.cli import main


def test_a_person_sees_what_matters_in_eighty_columns(artifact, capsys):
    assert main(["info", artifact]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    for part in ("bert", "256 tokens", "mean+cls", "Tanh", "query, passage", "4.2e-07", "0.9999999", "200.0 kB"):
        assert part in out
    assert "UNVERIFIED" not in out


def test_unverified_is_said(unverified, capsys):
    assert main(["info", unverified]) == 0
    out = capsys.readouterr().out
    assert "UNVERIFIED" in out
    assert "not measured" in out


def test_json(artifact, capsys):
    assert main(["info", artifact, "--json", "--check"]) == 0
    out, err = capsys.readouterr()
    value = json.loads(out)
    assert value.keys() == {"path", "manifest", "total_bytes", "files_checked"}
    assert manifest_from_json(value["manifest"]).dimension == 4
    assert value["files_checked"] is True
    assert value["total_bytes"] == sum(
        path.stat().st_size for path in Path(artifact).rglob("*.*") if path.is_file()
    ) - ((Path(artifact) / "stonnx.json").stat().st_size)
    assert "Hashing 5 files" in err


def test_check_finds_a_changed_byte_and_a_plain_look_does_not(artifact, capsys):
    (Path(artifact) / "tokenizer.json").write_bytes(b"y" * 20)
    assert main(["info", artifact]) == 0
    capsys.readouterr()
    assert main(["info", artifact, "--check"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "tokenizer.json" in err


def test_not_an_artifact(tmp_path, capsys):
    assert main(["info", "."]) == 3
    assert "not a stonnx artifact" in capsys.readouterr().err
