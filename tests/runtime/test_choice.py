"""The choice of ``stonnx tune``: written whole, read where it fits, ignored everywhere else."""

from __future__ import annotations

import dataclasses
import json
import logging
import os

import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, file_entries
from stonnx.errors import ArtifactError, RunError
from stonnx.runtime import choice as module
from stonnx.runtime import usable_cores
from stonnx.runtime.choice import Choice, machine_facts, machine_key, read_choice, write_choice

pytest.importorskip("onnxruntime")

CHOICE = Choice(
    variant="portable",
    threads=1,
    streams=1,
    batch_tokens=512,
    fidelity="high",
    aim="throughput",
    texts_per_second=321.0,
    latency_ms=4.5,
    tuned_at="2026-01-01T00:00:00+00:00",
)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stonnx" / "tune"


@pytest.fixture
def warnings(caplog):
    """The logged warnings."""
    with caplog.at_level(logging.WARNING, logger="stonnx"):
        yield lambda: [record.getMessage() for record in caplog.records]


def test_round_trip_beside_the_artifact(make_artifact):
    artifact = make_artifact()
    before = file_entries(artifact.path)
    assert read_choice(artifact) is None
    path = write_choice(artifact, CHOICE)
    assert path == artifact.path / ".stonnx-tune" / f"{machine_key(machine_facts(artifact))}.json"
    assert read_choice(artifact) == CHOICE
    assert file_entries(artifact.path) == before
    Artifact.open(artifact.path).check_files()
    newer = dataclasses.replace(CHOICE, variant="fp32")
    assert write_choice(artifact, newer) == path
    assert read_choice(artifact) == newer


def test_auto_uses_it_and_a_name_does_not(make_artifact):
    artifact = make_artifact()
    write_choice(artifact, CHOICE)
    with Encoder.load(artifact) as encoder:
        assert (encoder.variant.name, encoder.threads, encoder.batch_tokens) == ("portable", 1, 512)
    with Encoder.load(artifact, variant="fp32") as encoder:
        assert (encoder.variant.name, encoder.threads) == ("fp32", usable_cores())


@pytest.mark.parametrize("fact", ["cpu", "cpu_features", "cores", "versions", "manifest"])
def test_another_machine_another_key(make_artifact, fact):
    facts = machine_facts(make_artifact())
    assert machine_key({**facts, fact: "other"}) != machine_key(facts)
    assert machine_key(dict(reversed(facts.items()))) == machine_key(facts)


def test_a_choice_of_another_machine_is_not_found(make_artifact, monkeypatch, warnings):
    artifact = make_artifact()
    write_choice(artifact, CHOICE)
    monkeypatch.setattr(module, "cpu_name", lambda: "another CPU")
    assert read_choice(artifact) is None
    assert warnings() == []


def test_a_choice_of_a_cpu_with_other_instructions_is_not_found(make_artifact, monkeypatch, warnings):
    artifact = make_artifact()
    write_choice(artifact, CHOICE)
    assert read_choice(artifact) == CHOICE
    monkeypatch.setattr(module, "cpu_features", lambda: frozenset({"amx_int8", "avx2"}))
    assert machine_facts(artifact)["cpu_features"] == ["amx_int8", "avx2"]
    assert (read_choice(artifact), warnings()) == (None, [])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"instruction_sets": ("amx_int8",)}, "it needs a CPU with amx_int8"),
        ({"engine": "abacus"}, "no engine 'abacus'"),
    ],
)
def test_a_choice_of_a_variant_that_cannot_run_here_is_ignored(make_artifact, monkeypatch, warnings, changes, words):
    monkeypatch.setattr("stonnx.runtime.loading.cpu_features", lambda: frozenset({"avx2"}))
    variants = make_artifact().manifest.variants
    artifact = make_artifact(variants=(*variants, dataclasses.replace(variants[0], name="foreign", **changes)))
    write_choice(artifact, dataclasses.replace(CHOICE, variant="foreign"))
    with Encoder.load(artifact, threads=1) as encoder:
        assert encoder.variant.name == "fp32"
    (message,) = warnings()
    assert f"the variant 'foreign' cannot run here: {words}" in message


def test_another_manifest_another_choice(make_artifact):
    write_choice(make_artifact(), CHOICE)
    assert read_choice(make_artifact(similarity="dot")) is None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda v: v.update(format=2), "format is 2"),
        (lambda v: v.update(more=1), "not a choice"),
        (lambda v: v["facts"].update(cpu="x"), "another machine"),
        (lambda v: v["choice"].pop("aim"), "keys"),
        (lambda v: v["choice"].update(more=1), "keys"),
        (lambda v: v["choice"].update(variant="int9"), "no variant 'int9'"),
        (lambda v: v["choice"].update(variant=["fp32"]), "variant is"),
        (lambda v: v["choice"].update(threads=10**6), "threads is"),
        (lambda v: v["choice"].update(threads="1"), "threads is"),
        (lambda v: v["choice"].update(streams=2), "streams is 2"),
        (lambda v: v["choice"].update(streams=True), "streams is True"),
        (lambda v: v["choice"].update(batch_tokens=10**9), "batch_tokens is"),
        (lambda v: v["choice"].update(batch_tokens=0), "batch_tokens is 0"),
        (lambda v: v["choice"].update(fidelity="exact"), "fidelity is"),
        (lambda v: v["choice"].update(aim=[]), "aim is"),
        (lambda v: v["choice"].update(latency_ms=-1), "latency_ms is"),
    ],
)
def test_a_damaged_choice_is_ignored_with_a_warning(make_artifact, warnings, damage, words):
    artifact = make_artifact()
    path = write_choice(artifact, CHOICE)
    value = json.loads(path.read_text(encoding="utf-8"))
    damage(value)
    path.write_text(json.dumps(value), encoding="utf-8")
    assert read_choice(artifact) is None
    (message,) = warnings()
    assert words in message
    assert "is ignored" in message
    with Encoder.load(artifact, threads=1) as encoder:
        assert encoder.variant.name == "fp32"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"format": NaN}'])
def test_a_file_that_is_no_choice(make_artifact, warnings, content):
    artifact = make_artifact()
    write_choice(artifact, CHOICE).write_bytes(content)
    assert read_choice(artifact) is None
    assert len(warnings()) == 1


def test_a_folder_that_cannot_be_written(make_artifact, cache):
    artifact = make_artifact()
    (artifact.path / ".stonnx-tune").write_text("not a folder", encoding="utf-8")
    path = write_choice(artifact, CHOICE)
    assert path.parent == cache
    assert read_choice(artifact) == CHOICE


def test_the_newest_of_two_counts(make_artifact, cache):
    artifact = make_artifact()
    beside = write_choice(artifact, CHOICE)
    cache.mkdir(parents=True)
    (cache / beside.name).write_text(beside.read_text().replace('"portable"', '"fp32"'), encoding="utf-8")
    os.utime(beside, (1, 1))
    assert read_choice(artifact).variant == "fp32"
    os.utime(cache / beside.name, (0, 0))
    assert read_choice(artifact).variant == "portable"


def test_no_place_at_all(make_artifact, monkeypatch):
    artifact = make_artifact()
    (artifact.path / ".stonnx-tune").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(artifact.path / "stonnx.json" / "x"))
    with pytest.raises(RunError, match="cannot be written"):
        write_choice(artifact, CHOICE)


def test_a_link_out_of_the_folder_is_neither_followed_nor_written(make_artifact, tmp_path, warnings):
    artifact = make_artifact()
    path = write_choice(artifact, CHOICE)
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(tmp_path / "elsewhere")
    assert read_choice(artifact) is None
    assert "symbolic link" in warnings()[0]
    with pytest.raises(ArtifactError, match="symbolic link"):
        write_choice(artifact, CHOICE)


def test_without_tuning_nothing_is_hashed(make_artifact, monkeypatch):
    monkeypatch.setattr(module, "machine_facts", lambda artifact: pytest.fail("hashed"))
    assert read_choice(make_artifact()) is None
