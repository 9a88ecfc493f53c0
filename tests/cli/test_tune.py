"""``stonnx tune``: the tables, what is written and when, the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stonnx.artifact import Artifact, Fidelity
from stonnx.cli import main
from stonnx.errors import MissingExtraError
from stonnx.runtime.choice import read_choice
from stonnx.runtime.streams import RunSettings
from stonnx.tune import Row, TuneReport
from stonnx.verify import SkippedVariant

EXACT = Fidelity(texts=165, cosine_mean=0.99999999, cosine_min=0.99999991, max_abs_diff=4.2e-7, top10_overlap=0.9998)
HIGH = replace(EXACT, cosine_mean=0.99921, cosine_min=0.99102, top10_overlap=0.975)


def make_row(variant, engine, fidelity, found, **changes):
    settings = RunSettings(threads=1, streams=1, batch_tokens=1024)
    speed = {"texts_per_second": 1234.5, "ratio": 1.0, "latency_ms": 12.345}
    size = {"size_bytes": 438_000_000, "load_s": 1.23, "memory_bytes": 512_000_000}
    row = {"variant": variant, "engine": engine, "settings": settings, "fidelity": fidelity, "found": found}
    return Row(**{**row, **speed, **size, **changes})


@pytest.fixture
def fake_tune(monkeypatch, artifact, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def tune(opened, texts, *, options, on_step):
        tune.calls.append((texts, options))
        on_step("measuring")
        if tune.error is not None:
            raise tune.error
        return replace(tune.report, options=options, artifact=opened.path)

    rows = (
        make_row("fp32", "onnxruntime 1.32.0", EXACT, "exact"),
        make_row("openvino-int8", "openvino 2026.4.1", HIGH, "high", ratio=4.56, texts_per_second=5629.3),
        make_row("portable", "onnxruntime 1.32.0", EXACT, "exact", memory_bytes=None, latency_ms=123.4),
    )
    tune.calls, tune.error = [], None
    tune.report = TuneReport(
        artifact=Path("art"),
        rows=rows,
        picked=2,
        on_frontier=frozenset({0, 1}),
        skipped=(SkippedVariant(name="int8", reason="it needs a CPU with amx_int8; this one has avx2"),),
        options=None,
        compared_with="the original model's vectors (101 probe texts) and those of fp32 (64 of the texts)",
        texts=256,
        seconds=61.2,
        least_seconds=34.5,
        machine={"cpu": "A Processor With A Long Name @ 2.10GHz", "usable_cores": 2, "os": "Linux 6.1"},
    )
    monkeypatch.setattr("stonnx.tune.tune", tune)
    monkeypatch.setattr("stonnx.bench.material.text_language", lambda artifact: "en")
    return tune


def test_names_are_whole_in_forty_columns(fake_tune, artifact, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["tune", artifact]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert {"fp32", "openvino-int8", "portable", "*  fp32", "*  openvino-int8", "→  portable"} <= set(lines)
    assert "…" not in "".join(lines)


def test_a_person_sees_the_frontier_in_eighty_columns(fake_tune, artifact, capsys):
    assert main(["tune", artifact]) == 0
    out, err = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    lines = out.splitlines()
    assert next(line for line in lines if "→" in line).split()[1] == "portable"
    assert [line.split()[1] for line in lines if line.startswith("  * ")] == ["fp32", "openvino-int8"]
    text = " ".join(out.split())
    for part in (
        "onnxruntime 1.32.0: fp32, portable; openvino 2026.4.1: openvino-int8",
        "4.56 x",
        "5,629",
        "12.3 ms",
        "0.99921",
        "0.99102",
        "97.5%",
        "438.0 MB",
        "1.23 s",
        "512 MB",
        "int8: skipped, it needs a CPU with amx_int8",
        "class high was wanted",
        'Chose portable, 1 x 1 threads, batches of 1,024 tokens: variant "auto" uses it',
        "A Processor With A Long Name",
    ):
        assert part in text
    assert "measuring" in err
    assert read_choice(Artifact.open(artifact)).variant == "portable"
    (texts, options), *_ = fake_tune.calls
    assert len(texts) == 400
    assert (options.fidelity, options.aim, options.seconds) == ("high", "throughput", 60.0)


def test_the_default_is_told_and_kept_as_what_fits_each_call(fake_tune, artifact, capsys, monkeypatch):
    monkeypatch.setattr("stonnx.runtime.choice.usable_cores", lambda: 2)
    settings = RunSettings(threads=2, streams=2, batch_tokens=1024, by_call=True)
    rows = tuple(replace(row, settings=settings) for row in fake_tune.report.rows)
    fake_tune.report = replace(fake_tune.report, rows=rows)
    assert main(["tune", artifact]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Chose portable, 2 threads by call, batches of 1,024 tokens" in text
    assert text.count(" by call 1,024 ") == 3
    assert read_choice(Artifact.open(artifact)).settings == settings
    assert main(["info", artifact]) == 0
    assert 'variant "auto" is portable here, 2 threads by call,' in " ".join(capsys.readouterr().out.split())


def test_options_are_passed_on_and_a_dry_run_writes_nothing(fake_tune, artifact, capsys):
    Path("t.txt").write_text("one\ntwo\n", encoding="utf-8")
    words = ["--texts", "t.txt", "--fidelity", "balanced", "--latency", "--seconds", "7.5", "--dry-run"]
    assert main(["tune", artifact, *words]) == 0
    (texts, options), *_ = fake_tune.calls
    assert texts == ("one", "two")
    assert (options.fidelity, options.aim, options.seconds) == ("balanced", "latency", 7.5)
    assert "Nothing was written (--dry-run)" in " ".join(capsys.readouterr().out.split())
    assert read_choice(Artifact.open(artifact)) is None


def test_json(fake_tune, artifact, capsys):
    assert main(["tune", artifact, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert set(value) == {
        "artifact",
        "kind",
        "options",
        "compared_with",
        "texts",
        "seconds",
        "least_seconds",
        "machine",
        "rows",
        "skipped",
        "written",
    }
    assert Path(value["written"]).is_file()
    assert main(["tune", artifact, "--json", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] is None


def test_nothing_faithful_is_code_five_and_keeps_the_old_choice(fake_tune, artifact, capsys):
    assert main(["tune", artifact, "--quiet"]) == 0
    fake_tune.report = replace(fake_tune.report, picked=None)
    assert main(["tune", artifact, "--fidelity", "lossless"]) == 5
    assert "no variant keeps the class lossless" in " ".join(capsys.readouterr().out.split())
    assert read_choice(Artifact.open(artifact)).variant == "portable"


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (MissingExtraError("onnxruntime is needed", hint="pip"), 4)]
)
def test_what_ends_it_early_keeps_the_old_choice(fake_tune, artifact, capsys, error, code):
    assert main(["tune", artifact, "--quiet"]) == 0
    fake_tune.error = error
    assert main(["tune", artifact]) == code
    assert read_choice(Artifact.open(artifact)).variant == "portable"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seconds", "0"], "expected a number above 0, found '0'"),
        (["--seconds", "inf"], "expected a number above 0"),
        (["--fidelity", "exact"], "invalid choice"),
        (["--latency", "--throughput"], "not allowed with"),
        (["--texts", "none.txt"], "cannot be read"),
        (["--texts", "empty.txt"], "has no texts"),
    ],
)
def test_mistakes(fake_tune, artifact, capsys, words, message):
    Path("empty.txt").write_text("\n\n", encoding="utf-8")
    assert main(["tune", artifact, *words]) == 2
    assert message in capsys.readouterr().err
    assert fake_tune.calls == []
