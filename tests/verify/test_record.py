"""A verification against the original is written into an artifact that nobody has verified yet."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, Fidelity, Goldens, file_entries, write_manifest
from stonnx.compile import convert
from stonnx.testing import make_tiny_model
from stonnx.verify import Original, VariantReport, given_class, measure_variant, probe_texts, verify

pytest.importorskip("onnxruntime")


class FakeReference:
    def encode(self, texts):
        raise AssertionError("there are no pairs to encode")


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("record")
    convert(make_tiny_model(folder / "source"), folder / "out", verify=False, int8=False)
    with Encoder.load(folder / "out", variant="portable") as encoder:
        return folder / "out", encoder.encode(probe_texts())


@pytest.fixture
def unverified(converted, tmp_path):
    shutil.copytree(converted[0], tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def original(converted, monkeypatch):
    """Stands in for the original model; ``spoil`` makes it another one."""

    def run_original(source, texts, **_):
        chosen = (*probe_texts(), *texts)
        vectors = np.concatenate([converted[1], np.ones((len(texts), converted[1].shape[1]), np.float32)])
        goldens = Goldens(texts=chosen, vectors=vectors + np.float32(run_original.spoil), reference={"torch": "2"})
        return Original(encoder=FakeReference(), goldens=goldens, bare_folder=None)

    def measured(encoder, goldens, **options):
        found = measure(encoder, goldens, **options)
        if encoder.variant.name == run_original.broken:
            return replace(found, measured_class=None, failures=("mean cosine 0.5 is below 0.999",))
        return found

    measure = measure_variant
    monkeypatch.setattr("stonnx.verify.targets.measure_variant", measured)
    run_original.spoil, run_original.broken = 0.0, None
    monkeypatch.setattr("stonnx.verify.targets.run_original_encoder", run_original)
    return run_original


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_pass_is_recorded_and_holds_without_the_original(unverified, original):
    report = verify(unverified, against="org/model", keep=True)
    assert report.passed
    assert report.recorded
    artifact = Artifact.open(unverified)
    artifact.check_files()
    assert artifact.manifest.verified
    assert artifact.manifest.variants[0].fidelity == report.variants[0].fidelity
    assert {entry.path for entry in artifact.manifest.files} == {entry.path for entry in file_entries(unverified)}
    again = verify(unverified)
    assert again.passed
    assert (again.compared_with, again.reference, again.recorded) == ("goldens", {"torch": "2"}, False)


@pytest.mark.parametrize("options", [{}, {"keep": True, "texts": ["a text of the user's"]}])
def test_nothing_is_recorded_unasked_or_with_texts_of_the_users(unverified, original, options):
    before = snapshot(unverified)
    assert not verify(unverified, against="org/model", **options).recorded
    assert snapshot(unverified) == before


def test_a_failure_is_not_recorded(unverified, original):
    original.spoil = 0.1
    before = snapshot(unverified)
    report = verify(unverified, against="org/model", keep=True)
    assert (report.passed, report.recorded) == (False, False)
    assert snapshot(unverified) == before


def test_what_is_recorded_stays(unverified, original):
    assert verify(unverified, against="org/model", keep=True).recorded
    before = snapshot(unverified)
    original.spoil = 1e-9
    assert not verify(unverified, against="org/model", keep=True).recorded
    assert snapshot(unverified) == before


def test_a_folder_that_cannot_be_written_is_a_warning(unverified, original, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stonnx.verify.record.write_goldens", full)
    report = verify(unverified, against="org/model", keep=True)
    assert (report.passed, report.recorded) == (True, False)
    assert "cannot be recorded" in caplog.text
    assert "No space left" in caplog.text
    assert not Artifact.open(unverified).manifest.verified


def test_recording_settles_the_variants_as_converting_does(unverified, original):
    """One that keeps no class is taken out with its files; the rest is verified."""
    manifest = Artifact.open(unverified).manifest
    portable, file = manifest.variants[1], "onnx/broken.onnx"
    shutil.copyfile(unverified / portable.graph.file, unverified / file)
    broken = replace(
        portable,
        name="broken",
        precision="int8",
        graphs=(replace(portable.graph, file=file),),
        files=(file, *portable.files[1:]),
        fidelity_class="high",
    )
    manifest = replace(manifest, variants=(*manifest.variants, broken), files=file_entries(unverified))
    write_manifest(unverified, manifest)
    original.broken = "broken"
    report = verify(unverified, against="org/model", keep=True)
    assert (report.passed, report.recorded) == (True, True)
    assert "broken was left out" in [note.partition(":")[0] for note in report.notes]
    artifact = Artifact.open(unverified)
    assert artifact.manifest.verified
    assert "broken" not in {variant.name for variant in artifact.manifest.variants}
    assert not (unverified / "onnx" / "broken.onnx").exists()


@pytest.mark.parametrize("name", ["golden.json", "report.json", "stonnx.json"])
def test_nothing_is_written_through_links(unverified, original, tmp_path, caplog, name):
    elsewhere = tmp_path / "elsewhere"
    inside = unverified / name
    elsewhere.write_bytes(inside.read_bytes() if inside.exists() else b"somebody's")
    inside.unlink(missing_ok=True)
    inside.symlink_to(elsewhere if name != "stonnx.json" else "manifest.json")
    (unverified / "manifest.json").write_bytes(elsewhere.read_bytes())
    before = snapshot(tmp_path)
    assert not verify(unverified, against="org/model", keep=True).recorded
    assert "symbolic link" in caplog.text
    assert snapshot(tmp_path) == before


def test_a_write_that_breaks_off_leaves_a_valid_artifact(unverified, original, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("stonnx.verify.record.write_manifest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verify(unverified, against="org/model", keep=True)
    monkeypatch.undo()
    artifact = Artifact.open(unverified)
    artifact.check_files()
    assert not artifact.manifest.verified
    assert artifact.goldens() is None


def test_goldens_that_are_there_are_not_replaced(unverified, original):
    assert verify(unverified, against="org/model", keep=True).recorded
    manifest = Artifact.open(unverified).manifest
    variants = tuple(replace(variant, fidelity=None) for variant in manifest.variants)
    write_manifest(unverified, replace(manifest, verified=False, variants=variants))
    before = snapshot(unverified)
    assert not verify(unverified, against="org/model", keep=True).recorded
    assert snapshot(unverified) == before


@pytest.mark.parametrize(
    ("overlap", "measured", "given"),
    [(0.98, "high", "high"), (0.968, "high", "balanced"), (0.948, "balanced", None), (0.98, None, None)],
)
def test_a_class_is_given_by_figures_that_reach_it(overlap, measured, given):
    fidelity = Fidelity(texts=99, cosine_mean=0.9995, cosine_min=0.995, max_abs_diff=0.01, top10_overlap=overlap)
    found = VariantReport(
        name="int8",
        fidelity=fidelity,
        max_norm_diff=0.0,
        max_batch_diff=0.0,
        worst_text="",
        spearman=None,
        reference_spearman=None,
        failures=(),
        fidelity_class="high",
        measured_class=measured,
    )
    assert given_class(found) == given
