"""``quantize_artifact``: int8 for an artifact in one step; nothing of the older is lost."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, file_entries, write_manifest
from stonnx.artifact.fidelity_class import BOUNDS
from stonnx.compile import convert, in_place, int8_proof, quantize_artifact
from stonnx.compile import quantize as verb
from stonnx.errors import ArtifactError, MissingExtraError, RunError, UsageError, VerificationError
from stonnx.runtime.choice import Choice, write_choice
from stonnx.testing import TinyModel, make_tiny_model

pytest.importorskip("onnxruntime")

INT8 = ("int8", "int8-fast", "openvino-int8", "openvino-int8-static")


def content(folder):
    """Every file below a folder, with what it holds."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """An unverified artifact without int8; tests copy it."""
    folder = tmp_path_factory.mktemp("plain")
    source = make_tiny_model(folder / "source", TinyModel(max_tokens=48))
    return convert(source, folder / "out", verify=False, int8=False).path


@pytest.fixture(scope="module")
def quantised(plain, tmp_path_factory):
    """The same with int8; tests copy it."""
    folder = tmp_path_factory.mktemp("quantised") / "out"
    shutil.copytree(plain, folder)
    return quantize_artifact(folder)


@pytest.fixture
def artifact(plain, tmp_path):
    return shutil.copytree(plain, tmp_path / "art")


@pytest.fixture
def with_int8(quantised, tmp_path):
    return shutil.copytree(quantised.path, tmp_path / "art")


@pytest.fixture
def quick(monkeypatch, quantised):
    """int8 by copying what the quantised artifact has: for tests of what is around it."""

    def write(self, staging, *, tell):
        tell.step("quantising")
        for name in content(quantised.path):
            if "int8" in name:
                shutil.copy(quantised.path / name, staging / name)
        variants = [v for v in quantised.manifest.variants if v.precision == "int8"]
        return verb.Written(variants=tuple(variants), notes=("as it was",))

    monkeypatch.setattr(verb.AuthoredInt8, "write", write)


def only(folder, name="art"):
    """Nothing but the artifact is left."""
    assert [path.name for path in folder.iterdir()] == [name]


def test_what_it_says(artifact, quick, tmp_path):
    steps = []
    done = quantize_artifact(artifact, on_step=steps.append)
    assert (done.path, done.added, done.replaced, done.report) == (artifact, INT8, (), None)
    assert done.manifest == Artifact.open(artifact).manifest
    assert not done.manifest.verified
    assert done.notes[0] == "as it was"
    assert "unverified" in done.notes[-1]
    assert list(done.seconds) == ["read", "quantize"]
    assert steps == ["checking the files", "quantising to int8", "quantising"]
    only(tmp_path)


@pytest.mark.slow
def test_other_texts_give_other_integers(with_int8, tmp_path):
    before = content(with_int8)
    done = quantize_artifact(with_int8, force=True, calibration_texts=["of and to in is a text", "hello world"] * 9)
    after = content(with_int8)
    assert done.replaced == INT8
    assert after["onnx/model_int8.onnx_data"] != before["onnx/model_int8.onnx_data"]
    assert {n: after[n] for n in after if "int8" not in n and n != "stonnx.json"} == {
        n: before[n] for n in before if "int8" not in n and n != "stonnx.json"
    }
    assert any("very little text" in note for note in done.notes)
    Artifact.open(with_int8).check_files()


def test_int8_that_is_there_is_replaced_only_by_force(with_int8, quick):
    before = content(with_int8)
    with pytest.raises(UsageError, match="has int8 variants already: int8, int8-fast") as caught:
        quantize_artifact(with_int8)
    assert "--force" in caught.value.cli_hint
    assert content(with_int8) == before
    assert quantize_artifact(with_int8, force=True).replaced == INT8
    assert content(with_int8) == before


@pytest.fixture
def one_variant(monkeypatch, quantised):
    """As ``quick``, but of the int8 variants there is one alone."""

    def write(self, staging, *, tell):
        for name in ("onnx/model_int8.onnx", "onnx/model_int8.onnx_data"):
            assert not (staging / name).exists()
            shutil.copy(quantised.path / name, staging / name)
        return verb.Written(variants=tuple(v for v in quantised.manifest.variants if v.name == "int8"))

    monkeypatch.setattr(verb.AuthoredInt8, "write", write)


def test_files_of_variants_that_are_no_more_go(with_int8, one_variant):
    assert quantize_artifact(with_int8, force=True).added == ("int8",)
    assert [name for name in content(with_int8) if "int8" in name] == [
        "onnx/model_int8.onnx",
        "onnx/model_int8.onnx_data",
    ]
    Artifact.open(with_int8).check_files()


@pytest.mark.parametrize("moment", ["checking", "quantising", "choosing"])
def test_an_interrupt_loses_nothing(artifact, tmp_path, moment):
    def interrupt(sentence):
        if sentence.startswith(moment):
            raise KeyboardInterrupt

    before = content(artifact)
    with pytest.raises(KeyboardInterrupt):
        quantize_artifact(artifact, on_step=interrupt)
    assert content(artifact) == before
    only(tmp_path)


def test_a_full_disk_loses_nothing(artifact, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    before = content(artifact)
    monkeypatch.setattr(verb, "write_graph", full)
    with pytest.raises(RunError, match="No space left on device"):
        quantize_artifact(artifact)
    assert content(artifact) == before
    only(tmp_path)


def test_nothing_close_enough_changes_nothing(artifact, tmp_path, monkeypatch):
    none = verb.Written(variants=(), notes=("int8 was left out: too far.",))
    monkeypatch.setattr(verb.AuthoredInt8, "write", lambda *_, **__: none)
    before = content(artifact)
    with pytest.raises(VerificationError, match=r"left out: too far\. Nothing was changed") as caught:
        quantize_artifact(artifact)
    assert "--calibrate" in caught.value.cli_hint
    assert content(artifact) == before
    only(tmp_path)


def test_a_folder_that_is_no_artifact(tmp_path):
    make_tiny_model(tmp_path / "model")
    with pytest.raises(ArtifactError, match="not a stonnx artifact"):
        quantize_artifact(tmp_path / "model")


def test_a_damaged_one(artifact, tmp_path):
    data = artifact / "onnx" / "model.onnx_data"
    damaged = bytearray(data.read_bytes())
    damaged[-1] ^= 1
    data.write_bytes(damaged)
    with pytest.raises(ArtifactError, match="was changed"):
        quantize_artifact(artifact)
    only(tmp_path)


@pytest.mark.parametrize("change", ["tokenizer", "config", "portable"])
def test_one_whose_files_are_of_another_model(artifact, tmp_path, change):
    """As by hand: every hash fits, the model does not."""
    manifest = Artifact.open(artifact).manifest
    if change == "config":
        config = json.loads((artifact / "config.json").read_text())
        (artifact / "config.json").write_text(json.dumps({**config, "hidden_size": 16}))
    if change == "portable":
        variants = tuple(variant for variant in manifest.variants if variant.name == "fp32")
        manifest = dataclasses.replace(manifest, variants=variants)
    if change == "tokenizer":
        (tower,) = manifest.towers
        tokenizer = dataclasses.replace(tower.tokenizer, max_tokens=17)
        manifest = dataclasses.replace(manifest, towers=(dataclasses.replace(tower, tokenizer=tokenizer),))
    write_manifest(artifact, dataclasses.replace(manifest, files=file_entries(artifact)))
    before = content(artifact)
    with pytest.raises(ArtifactError) as caught:
        quantize_artifact(artifact)
    assert str(artifact) in caught.value.message
    assert ".stonnx-" not in caught.value.message, "the work folder is nothing that the user knows"
    assert "stonnx convert" in caught.value.hint
    assert content(artifact) == before
    only(tmp_path)


def test_files_of_the_users_stop_it(artifact, quick):
    (artifact / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"what stonnx did not write: notes\.txt"):
        quantize_artifact(artifact)
    (artifact / "notes.txt").unlink()
    quantize_artifact(artifact)


def test_links_into_a_cache_are_not_changed(artifact, tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (artifact / "tokenizer.json").rename(blobs / "0")
    (artifact / "tokenizer.json").symlink_to("../blobs/0")
    with pytest.raises((UsageError, ArtifactError), match=r"tokenizer\.json is a (symbolic )?link"):
        quantize_artifact(artifact)
    assert (artifact / "tokenizer.json").is_symlink()


def test_a_link_to_the_folder_stays(artifact, quick, tmp_path):
    (tmp_path / "link").symlink_to("art")
    done = quantize_artifact(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert done.path == tmp_path / "link"
    assert "int8" in [variant.name for variant in Artifact.open(artifact).manifest.variants]


@pytest.mark.parametrize("name", [".", "art/.", "../art", "art/onnx/.."])
def test_any_name_of_the_folder_will_do(artifact, quick, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path if name.startswith("art") else artifact)
    quantize_artifact(name)
    monkeypatch.chdir(tmp_path)
    assert "int8" in [variant.name for variant in Artifact.open("art").manifest.variants]
    only(tmp_path)
    with pytest.raises(UsageError, match=r"^art has int8 variants already"):
        quantize_artifact("art")


def test_a_folder_that_cannot_be_written(artifact, monkeypatch):
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != artifact.parent and may(path, mode))
    with pytest.raises(RunError, match="cannot be written") as caught:
        quantize_artifact(artifact)
    assert "Copy the artifact" in caught.value.hint


def test_without_onnxruntime(artifact, monkeypatch):
    monkeypatch.setattr("stonnx._extras.available", lambda _: False)
    with pytest.raises(MissingExtraError, match="onnxruntime is needed") as caught:
        quantize_artifact(artifact)
    assert "stonnx[cpu]" in caught.value.hint


def test_no_texts_is_a_mistake(artifact):
    with pytest.raises(UsageError, match="no calibration texts"):
        quantize_artifact(artifact, calibration_texts=[])


def test_what_tune_chose_goes_and_is_told(artifact, quick):
    choice = Choice(
        variant="fp32",
        threads=1,
        streams=1,
        batch_tokens=256,
        fidelity="high",
        aim="throughput",
        texts_per_second=1.0,
        latency_ms=1.0,
        tuned_at="2026-11-25T00:00:00Z",
    )
    write_choice(Artifact.open(artifact), choice)
    done = quantize_artifact(artifact)
    assert any("stonnx tune" in note for note in done.notes)
    assert not (artifact / ".stonnx-tune").exists()


def test_an_older_manifest_becomes_one_of_today(artifact, quick):
    manifest = Artifact.open(artifact).manifest
    write_manifest(artifact, dataclasses.replace(manifest, stonnx_version="0.0.1"))
    done = quantize_artifact(artifact)
    assert any("written by stonnx 0.0.1" in note for note in done.notes)
    assert Artifact.open(artifact).manifest.stonnx_version != "0.0.1"


@pytest.fixture
def judged(artifact, quick, monkeypatch):
    """A function: classes by variant in; quantises a verified artifact as if each had been measured to be of it."""
    from stonnx.artifact import Fidelity, Goldens, write_goldens
    from stonnx.verify import verify

    texts = ("hello world", "of and to in is a", "text number five", "a paper stone", "light", "water and river")
    with Encoder.load(artifact, variant="fp32", threads=1) as encoder:
        vectors = encoder.encode(texts)
    write_goldens(artifact, Goldens(texts=texts, vectors=vectors, reference={"dtype": "float32"}))
    told = {"bare_folder": {"ignored": ["x"], "cosine_mean": 0.5, "cosine_min": 0.1}, "position_cut": None}
    notes = [f"{name} is written as balanced." for name in ("openvino-bf16", "int8", "openvino-int8")]
    old = {**told, "notes": notes}
    (artifact / "report.json").write_text(json.dumps(old))
    manifest = Artifact.open(artifact).manifest
    figures = Fidelity(texts=6, cosine_mean=1.0, cosine_min=1.0, max_abs_diff=0.0, top10_overlap=1.0)
    variants = tuple(dataclasses.replace(variant, fidelity=figures) for variant in manifest.variants)
    entries = file_entries(artifact)
    write_manifest(artifact, dataclasses.replace(manifest, variants=variants, verified=True, files=entries))

    def quantize(classes):
        def judge(opened, **options):
            report = verify(opened, **options)
            return dataclasses.replace(
                report,
                variants=tuple(
                    judge_as(found, classes[found.name]) if found.name in classes else found
                    for found in report.variants
                ),
            )

        monkeypatch.setattr(int8_proof, "verify", judge)
        return quantize_artifact(artifact)

    quantize.path, quantize.told, quantize.figures = artifact, told, figures
    return quantize


def judge_as(found, name):
    """A variant's report in which it was measured to be of a class; None for below all of them."""
    bounds = {} if name is None else BOUNDS[name]._asdict()
    fidelity = dataclasses.replace(found.fidelity, **bounds)
    return dataclasses.replace(found, fidelity=fidelity, measured_class=name, failures=("so it was judged",))


def test_verification_settles_the_new_variants_alone(judged):
    done = judged({"int8": "balanced", "int8-fast": None})
    by_name = {variant.name: variant for variant in done.manifest.variants}
    assert by_name["int8"].fidelity_class == "balanced"
    assert "int8-fast" not in by_name
    assert "int8-fast" not in done.added
    assert "onnx/model_int8_fast.onnx" not in content(judged.path)
    Artifact.open(judged.path).check_files()
    report = json.loads((judged.path / "report.json").read_text())
    assert {key: report[key] for key in judged.told} == judged.told
    assert "openvino-bf16 is written as balanced." in report["notes"]
    assert "int8 is written as balanced." not in report["notes"], "it was another int8"
    assert [note for note in report["notes"] if note.startswith("int8-fast was left out")]
    assert (report["recorded"], report["passed"]) == (True, True)
    ran = {entry["name"] for entry in report["variants"]}
    for name, variant in by_name.items():
        before = judged.figures if name not in done.added else None
        assert variant.fidelity is not None if name in ran else variant.fidelity == before
    vectors = Encoder.load(judged.path, variant="fp32").encode(["hello world"])
    np.testing.assert_allclose((vectors**2).sum(), 1, rtol=1e-5)


def test_notes_on_int8_variants_that_are_no_more_go(judged, one_variant):
    assert judged({"int8": "balanced"}).added == ("int8",)
    notes = json.loads((judged.path / "report.json").read_text())["notes"]
    assert "openvino-bf16 is written as balanced." in notes
    assert not [note for note in notes if note.startswith("openvino-int8")]


def test_where_no_new_one_keeps_a_class_nothing_changes(judged):
    before = content(judged.path)
    with pytest.raises(VerificationError, match="Nothing was changed"):
        judged(dict.fromkeys(INT8))
    assert content(judged.path) == before


def test_where_an_older_one_fails_nothing_changes(judged):
    before = content(judged.path)
    with pytest.raises(VerificationError, match=r"does not keep its class on this machine \(portable: so it was"):
        judged({"portable": None})
    assert content(judged.path) == before


@pytest.mark.parametrize("links", [True, False])
def test_large_files_are_linked_where_the_file_system_can(artifact, quick, monkeypatch, tmp_path, links):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(in_place, "_LINKED_BYTES", 100_000)
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    before = {name: (artifact / name).stat().st_ino for name in ("onnx/model.onnx_data", "onnx/model.onnx")}
    quantize_artifact(artifact)
    after = {name: (artifact / name).stat() for name in before}
    assert after["onnx/model.onnx_data"].st_size >= 100_000 > after["onnx/model.onnx"].st_size
    assert [after[name].st_ino == before[name] for name in before] == [links, False]
    assert {found.st_nlink for found in after.values()} == {1}, "the older folder is gone"
    Artifact.open(artifact).check_files()
    only(tmp_path)


def test_a_failure_takes_no_link_with_it(artifact, quick, monkeypatch):
    def fail(*_, **__):
        assert (artifact / "onnx" / "model.onnx_data").stat().st_nlink == 2
        raise MemoryError

    monkeypatch.setattr(in_place, "_LINKED_BYTES", 1)
    monkeypatch.setattr(verb.AuthoredInt8, "write", fail)
    before = content(artifact)
    with pytest.raises(MemoryError):
        quantize_artifact(artifact)
    assert content(artifact) == before
    assert (artifact / "onnx" / "model.onnx_data").stat().st_nlink == 1
