"""``stonnx info``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from stonnx.artifact import Artifact, manifest_from_json, write_manifest
from stonnx.cli import main
from stonnx.runtime import usable_cores
from stonnx.runtime.choice import Choice, write_choice


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
    assert value.keys() == {"path", "manifest", "total_bytes", "files_checked", "why_not_here", "choice"}
    assert value["why_not_here"] == {"fp32": None, "portable": None}
    assert value["choice"] is None
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


def test_what_this_machine_can_run_and_why_not(artifact, capsys, monkeypatch):
    monkeypatch.setattr("stonnx.runtime.loading.cpu_features", lambda: frozenset({"avx2"}))
    folder = Path(artifact)
    manifest = Artifact.open(folder).manifest
    int8 = replace(
        manifest.variants[0],
        name="int8",
        precision="int8",
        instruction_sets=("avx512_vnni", "amx_int8"),
        fidelity_class="high",
    )
    other = replace(manifest.variants[0], name="other", engine="abacus", fidelity_class="lossless")
    write_manifest(folder, replace(manifest, variants=(*manifest.variants, int8, other)))
    assert main(["info", artifact]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "int8: it needs a CPU with avx512_vnni or amx_int8; this one has avx2" in " ".join(out.split())
    assert "other: no engine 'abacus'" in out
    assert "Not tuned" in out


def test_the_tuned_choice_is_told(artifact, capsys):
    choice = Choice(
        variant="portable",
        threads=usable_cores(),
        streams=1,
        batch_tokens=2048,
        fidelity="high",
        aim="throughput",
        texts_per_second=100.0,
        latency_ms=1.0,
        tuned_at="2026-01-01T00:00:00+00:00",
    )
    write_choice(Artifact.open(artifact), choice)
    assert main(["info", artifact]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert 'variant "auto" is portable here' in out
    assert "2,048 tokens" in out
    assert main(["info", artifact, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["choice"]["variant"] == "portable"
