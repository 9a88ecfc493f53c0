"""``tune`` on simulated seconds: what is measured, what is picked, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stonnx.artifact import Artifact, write_manifest
from stonnx.errors import ArtifactError, MissingExtraError, RunError, UsageError
from stonnx.runtime.choice import read_choice, write_choice
from stonnx.tune import TuneOptions, tune
from tests.tune.conftest import TEXTS, streams_of


def run(artifact, world, **options):
    return tune(artifact, TEXTS, options=TuneOptions(**{"seconds": 500.0, **options}), clock=world.clock)


def picked(report):
    return report.rows[report.picked]


def speeds(report):
    return {
        (row.variant, streams_of(row.settings), row.settings.batch_tokens): row.texts_per_second for row in report.rows
    }


def test_on_a_real_engine_and_clock(artifact):
    report = tune(artifact, TEXTS, options=TuneOptions(seconds=0.01))
    assert {row.variant for row in report.rows} == {"fp32", "portable", "fast"}
    assert all(row.found == "exact" for row in report.rows)
    assert all(row.texts_per_second > 0 and row.latency_ms > 0 and row.load_s > 0 for row in report.rows)
    assert "24 probe texts" in report.compared_with
    assert "40 of the texts" in report.compared_with
    assert report.picked is not None


def test_speeds_are_those_of_the_clock(artifact, fast_world):
    report = run(artifact, fast_world)
    found = {row.variant: row for row in reversed(report.rows)}
    assert found["fp32"].texts_per_second == pytest.approx(100)
    assert found["portable"].texts_per_second == pytest.approx(50)
    assert found["fast"].ratio == pytest.approx(2)
    assert found["fast"].latency_ms == pytest.approx(5)
    assert found["fp32"].size_bytes == sum(
        entry.size_bytes for entry in artifact.manifest.files if entry.path in artifact.variant("fp32").files
    )
    assert report.rows[0].variant == "fp32"
    assert report.rows[0].ratio == 1.0


def test_the_fastest_faithful_variant_is_picked(artifact, fast_world):
    report = run(artifact, fast_world)
    assert picked(report).variant == "fast"
    assert picked(report).found == "exact"


@pytest.mark.parametrize(("wanted", "variant"), [("lossless", "fp32"), ("high", "fp32"), ("balanced", "fp32")])
def test_a_variant_below_the_class_is_shown_and_not_picked(artifact, fast_world, wanted, variant):
    fast_world.noise["fast"] = 1.0
    report = run(artifact, fast_world, fidelity=wanted)
    row = next(row for row in report.rows if row.variant == "fast")
    assert (row.found, row.ratio) == (None, pytest.approx(2))
    assert picked(report).variant == variant
    assert len([row for row in report.rows if row.variant == "fast"]) == 1  # no time is spent on what cannot win
    assert report.choice().fidelity == wanted


def test_streams_and_budgets_are_tried_for_what_could_win(artifact, fast_world):
    fast_world.per_streams = {2: 0.8}
    fast_world.per_budget = {512: 0.7, 256: 0.6, 2048: 2.0}
    report = run(artifact, fast_world)
    default = report.rows[0].settings.batch_tokens
    tried = speeds(report)
    assert picked(report).variant == "fast"
    assert (picked(report).settings.streams, picked(report).settings.batch_tokens) == (2, default // 4)
    assert ("fast", 2, default * 2) in tried
    assert ("fast", 2, default * 4) not in tried
    assert not any(variant == "portable" and streams == 2 for variant, streams, _ in tried)
    assert tried["fast", 2, default // 2] == pytest.approx(200 / 0.8 / 0.7)


def test_latency_tries_fewer_threads_and_no_budgets(artifact, fast_world):
    report = run(artifact, fast_world, aim="latency")
    assert {row.settings.batch_tokens for row in report.rows} == {report.rows[0].settings.batch_tokens}
    assert {streams_of(row.settings) for row in report.rows} == {None, 1}
    assert ("fast", 1) in {(row.variant, row.settings.threads) for row in report.rows}
    assert picked(report).settings.threads == 2  # no faster with one
    assert report.choice().aim == "latency"


def test_a_little_faster_is_noise(artifact, world):
    world.cost["fast"] = 0.0099
    assert picked(run(artifact, world)).variant == "fp32"


def test_the_frontier(artifact, fast_world):
    fast_world.noise["fast"] = 1.0
    report = run(artifact, fast_world)
    names = {(report.rows[index].variant, report.rows[index].ratio) for index in report.on_frontier}
    assert {name for name, _ in names} == {"fp32", "fast"}
    assert all(report.rows[index].variant != "portable" for index in report.on_frontier)


def test_the_default_can_be_chosen(artifact, fast_world):
    fast_world.per_streams = {2: 3.0}  # threads of ONNX Runtime's own would be slower
    choice = run(artifact, fast_world).choice()
    assert (choice.streams, choice.settings.by_call, choice.settings.streams) == (None, True, 2)
    write_choice(artifact, choice)
    assert read_choice(artifact) == choice


def test_the_choice_is_written_for_auto(artifact, fast_world):
    report = run(artifact, fast_world)
    write_choice(artifact, replace(report.choice(), threads=1, streams=1))
    assert read_choice(artifact).variant == "fast"


def test_what_cannot_run_or_fails_is_told(artifact, fast_world, monkeypatch):
    monkeypatch.setattr("stonnx.runtime.loading.cpu_features", lambda: frozenset({"avx2"}))
    manifest = artifact.manifest
    needy = replace(manifest.variants[-1], name="needy", instruction_sets=("amx_int8",))
    write_manifest(artifact.path, replace(manifest, variants=(*manifest.variants, needy)))
    fast_world.failing = {"fast"}
    report = run(Artifact.open(artifact.path), fast_world)
    assert [(skipped.name, skipped.reason) for skipped in report.skipped] == [
        ("needy", "it needs a CPU with amx_int8; this one has avx2"),
        ("fast", "The engine gave up."),
    ]
    assert picked(report).variant == "fp32"


def test_settings_that_fail_are_left_out(artifact, fast_world):
    fast_world.failing = {("fast", 2)}
    report = run(artifact, fast_world)
    assert (picked(report).variant, streams_of(picked(report).settings)) == ("fast", None)
    assert [skipped.name for skipped in report.skipped] == ["fast, 2 x 1 threads"]


def test_the_reference_variant_may_not_fail(artifact, fast_world):
    fast_world.failing = {"fp32"}
    with pytest.raises(RunError, match="gave up"):
        run(artifact, fast_world)


def test_nothing_is_picked_where_nothing_is_faithful(artifact, fast_world):
    fast_world.noise = dict.fromkeys(("fp32", "portable", "fast"), 1.0)
    report = run(artifact, fast_world)
    assert report.picked is None
    assert report.choice() is None
    assert report.on_frontier


def test_without_goldens_fp32_is_the_reference(artifact, fast_world):
    manifest = artifact.manifest
    for name in ("golden.json", "golden.safetensors"):
        (artifact.path / name).unlink()
    files = tuple(entry for entry in manifest.files if not entry.path.startswith("golden"))
    write_manifest(artifact.path, replace(manifest, files=files))
    report = run(Artifact.open(artifact.path), fast_world)
    assert "the artifact has none of the original model" in report.compared_with
    assert picked(report).variant == "fast"


def test_one_variant_is_enough(artifact, world):
    write_manifest(artifact.path, replace(artifact.manifest, variants=artifact.manifest.variants[:1]))
    report = run(Artifact.open(artifact.path), world)
    assert {row.variant for row in report.rows} == {"fp32"}
    assert picked(report).variant == "fp32"


def test_no_engine(artifact, world, monkeypatch):
    monkeypatch.setattr("stonnx._extras.available", lambda module: module != "onnxruntime")
    monkeypatch.setattr("stonnx.runtime.engines.available", lambda module: module != "onnxruntime")
    with pytest.raises(MissingExtraError) as caught:
        run(artifact, world)
    assert caught.value.hint.startswith('pip install "stonnx[cpu]"')


def test_a_damaged_artifact_is_an_error_before_anything_runs(artifact, world):
    path = artifact.path / "onnx" / "model.onnx_data"
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="was changed"):
        run(artifact, world)
    assert not world.loads


@pytest.mark.parametrize("texts", [(), [], "one text"])
def test_no_texts(artifact, texts):
    with pytest.raises(UsageError, match="no texts"):
        tune(artifact, texts)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_seconds(artifact, seconds):
    with pytest.raises(UsageError, match="seconds is"):
        tune(artifact, TEXTS, options=TuneOptions(seconds=seconds))


def test_too_few_seconds_are_told_with_how_many_it_takes(artifact, fast_world, caplog):
    """Every variant is measured, other settings are not; it takes about as long as was said."""
    report = run(artifact, fast_world, seconds=1.0)
    assert {row.variant for row in report.rows} == {"fp32", "portable", "fast"}
    assert {streams_of(row.settings) for row in report.rows} == {None}
    assert [skipped.reason for skipped in report.skipped] == ["no time was left"]
    assert "1 s are too few: these variants take about" in caplog.text
    assert report.least_seconds > 1
    assert report.seconds == pytest.approx(report.least_seconds, rel=0.5)


def test_the_seconds_are_kept_where_they_suffice(artifact, fast_world, caplog):
    least = run(artifact, fast_world, seconds=1.0).least_seconds
    caplog.clear()
    report = run(artifact, fast_world, seconds=3 * least)
    assert "too few" not in caplog.text
    assert report.seconds <= 3.3 * least
    assert {streams_of(row.settings) for row in report.rows} == {None, 2}


def test_a_class_does_not_hang_on_chance(artifact, fast_world):
    """The variant promises balanced; figures a little below its bound do not take that away."""
    fast_world.noise["fast"] = 0.009
    report = run(artifact, fast_world, fidelity="balanced")
    row = next(row for row in report.rows if row.variant == "fast")
    assert row.fidelity.top10_overlap < 0.95 < row.fidelity.top10_overlap + 2 * row.overlap_error, row
    assert (row.found, row.class_is_sure) == ("balanced", False)


def test_json(artifact, fast_world):
    report = run(artifact, fast_world)
    value = json.loads(json.dumps(report.to_json()))
    assert [row["picked"] for row in value["rows"]].count(True) == 1
    assert value["options"] == {"fidelity": "high", "aim": "throughput", "seconds": 500.0}
    assert value["rows"][0]["settings"]["threads"] == 2


def test_steps_are_named(artifact, fast_world):
    steps = []
    tune(artifact, TEXTS, options=TuneOptions(seconds=500.0), clock=fast_world.clock, on_step=steps.append)
    assert steps[:4] == [
        "checking the files",
        "measuring fp32, the base of all ratios",
        "measuring portable",
        "measuring fast",
    ]
    assert steps[4] == "measuring fast, 2 x 1 threads, batches of 1,024 tokens"
