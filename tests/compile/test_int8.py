"""``convert(..., int8=True)``: which variants there are, over which files, and what verification makes of them."""

from __future__ import annotations

import dataclasses
import functools
import json
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, Goldens
from stonnx.artifact.fidelity_class import BOUNDS, CLASSES
from stonnx.compile import convert, verification
from stonnx.compile.catalogue import INT8_ROWS
from stonnx.compile.sources import AuthoredInt8
from stonnx.compile.sources.quantized import _note
from stonnx.errors import UsageError, VerificationError
from stonnx.quantize import (
    Quantized,
    calibration_edges,
    calibration_step,
    calibration_texts,
    quantize,
    selection_edges,
    selection_texts,
)
from stonnx.quantize.selection import Rung
from stonnx.runtime.loading import why_not_here
from stonnx.runtime.tokenize import TextTokenizer
from stonnx.testing import TinyModel, make_tiny_model
from stonnx.verify import probe_texts
from stonnx.verify.original import Original

pytest.importorskip("onnxruntime")

FLOAT = ["fp32", "portable", "openvino", "openvino-bf16"]
INT8 = ["int8", "int8-fast", "openvino-int8", "openvino-int8-static"]
TEXTS = ["hello world", "of and to in is a", "text number five"]


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def names_of(manifest):
    return [variant.name for variant in manifest.variants]


@pytest.fixture(scope="module")
def tiny_source(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("source"), TinyModel(max_tokens=48))


def convert_recorded(source, out, **options):
    """A conversion with int8 and without verification, the token rows that it used, and the models that it found."""
    made = SimpleNamespace()

    def recording(workspace, material, **options):
        made.calibration, made.held_out = material.calibration, material.held_out
        made.models = quantize(workspace, material, **options)
        return made.models

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stonnx.compile.sources.quantized.quantize", recording)
        made.done = convert(source, out, verify=False, int8=True, **options)
    return made


@pytest.fixture(scope="module")
def recorded(tiny_source, tmp_path_factory):
    """What ``convert_recorded`` gives for the shipped texts; tests must not change it."""
    return convert_recorded(tiny_source, tmp_path_factory.mktemp("int8") / "out")


@pytest.fixture
def converted(recorded):
    return recorded.done


@pytest.fixture
def convert_again(tiny_source, tmp_path, recorded, monkeypatch):
    """A function: two quantised models for the targets in; converts without quantising once more."""

    def convert_with(models=recorded.models, **options):
        monkeypatch.setattr("stonnx.compile.sources.quantized.quantize", lambda *_, **__: models)
        return convert(tiny_source, tmp_path / "out", int8=True, **options)

    return convert_with


@pytest.mark.slow
def test_variants(converted):
    assert names_of(converted.manifest) == [*FLOAT, *INT8]
    by_name = {variant.name: variant for variant in converted.manifest.variants}
    for name in INT8:
        variant = by_name[name]
        assert variant.precision == "int8"
        assert variant.engine == ("openvino" if "openvino" in name else "onnxruntime")
        assert (variant.graph.layout == "equal_lengths") == (variant.engine == "onnxruntime")
        assert variant.fidelity is None
        told = any(note.startswith(f"{name}: {variant.fidelity_class}") for note in converted.notes)
        assert told == (variant.engine == "onnxruntime"), "what was measured with one engine says nothing of another"
    for name in ("int8", "int8-fast"):
        assert by_name[name].instruction_sets == ()
    for name in ("openvino-int8", "openvino-int8-static"):
        assert "asimd" not in by_name[name].instruction_sets
        assert by_name[name].instruction_sets
    assert by_name["int8"].fidelity_class == "high"


def test_all_files_are_there_and_no_others(converted):
    artifact = Artifact.open(converted.path)
    artifact.check_files()
    listed = {entry.path for entry in converted.manifest.files}
    assert files_of(converted.path) == listed | {"stonnx.json"}
    used = {name for variant in converted.manifest.variants for name in variant.files}
    assert used == {name for name in listed if name.startswith("onnx/")}
    assert not [name for name in listed if "trial" in name or "calibration" in name]


def test_variants_of_the_same_integers_share_one_weight_file(converted):
    by_name = {variant.name: variant for variant in converted.manifest.variants}
    shared = "onnx/model_int8.onnx_data"
    for name, variant in by_name.items():
        assert (shared in variant.files) == (name in INT8)
        graph = onnx.load(converted.path / variant.graph.file, load_external_data=False).graph
        entries = [entry.value for tensor in graph.initializer for entry in tensor.external_data[:1]]
        assert set(entries) == {name.rpartition("/")[2] for name in variant.files if name.endswith("_data")}
    assert len({by_name[name].graph.file for name in INT8}) == len(INT8)


def test_what_runs_here_is_as_close_as_it_says(converted):
    texts = ["hello world", "a", "today text number of paper " * 6]
    expected = Encoder.load(converted.path, variant="fp32", threads=1).encode(texts)
    ran = []
    for variant in converted.manifest.variants[len(FLOAT) :]:
        if why_not_here(variant) is None:
            found = Encoder.load(converted.path, variant=variant.name, threads=1).encode(texts)
            assert (found * expected).sum(axis=1).min() > 0.99
            assert np.abs(found - expected).max() > 1e-5
            ran.append(variant.name)
    assert {"int8", "int8-fast"} <= set(ran)


@pytest.mark.slow
def test_calibration_is_on_the_users_texts_and_the_edges(tiny_source, recorded, tmp_path):
    mine = convert_recorded(tiny_source, tmp_path / "mine", calibration_texts=TEXTS)
    tokenizer = TextTokenizer(tmp_path / "mine" / "tokenizer.json", max_tokens=48)
    for made, texts in ((mine, TEXTS), (recorded, calibration_texts())):
        expected = tokenizer.rows((*texts, *calibration_edges()))
        np.testing.assert_array_equal(made.calibration.ids, expected.ids)
        np.testing.assert_array_equal(made.calibration.offsets, expected.offsets)
        np.testing.assert_array_equal(made.held_out.ids, tokenizer.rows((*selection_texts(), *selection_edges())).ids)
    name = "onnx/model_int8.onnx_data"
    assert (tmp_path / "mine" / name).read_bytes() != (recorded.done.path / name).read_bytes()


@pytest.mark.parametrize(
    ("texts", "told"), [(["word"] * 5000, "(different texts: 1, tokens: 6)"), (calibration_texts(), None), (None, None)]
)
def test_too_little_text_to_calibrate_on_is_told(convert_again, texts, told):
    done = convert_again(verify=False, calibration_texts=texts)
    notes = [note for note in done.notes if "calibrated on very little text" in note]
    assert len(notes) == (told is not None)
    assert told is None or told in notes[0]


def test_of_very_many_texts_some_are_taken_and_that_is_told(convert_again, monkeypatch):
    monkeypatch.setattr("stonnx.quantize.material.MOST_TOKENS", 60)
    texts = [f"a word {number}" for number in range(40)]
    done = convert_again(verify=False, calibration_texts=texts)
    tokenizer = TextTokenizer(done.path / "tokenizer.json", max_tokens=48)
    step = calibration_step(tokenizer, texts)
    assert any(f"calibrated on one text in {step}" in note for note in done.notes)
    taken, longest = tokenizer.rows(texts[::step]), int(tokenizer.rows(texts).lengths.max())
    assert 60 - longest <= len(taken.ids) <= 60 + longest
    assert calibration_step(tokenizer, texts[:2]) == 1


def test_no_calibration_texts_is_a_mistake_of_the_users(source, tmp_path):
    with pytest.raises(UsageError, match="no calibration texts"):
        convert(source, tmp_path / "out", verify=False, int8=True, calibration_texts=[])
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("moment", ["quantising", "choosing"])
def test_an_interrupt_leaves_nothing(source, tmp_path, moment):
    def interrupt(sentence):
        if sentence.startswith(moment):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "out", verify=False, int8=True, on_step=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def left_out(model):
    """As quantised, and below every class."""
    return dataclasses.replace(model, selection=dataclasses.replace(model.selection, reached=None))


def test_a_target_below_every_class_is_left_out(recorded, convert_again):
    close, fast = recorded.models
    done = convert_again((left_out(close), fast), verify=False)
    assert names_of(done.manifest) == [*FLOAT, "int8-fast", "openvino-int8", "openvino-int8-static"]
    assert sum("was left out: it is below every fidelity class" in note for note in done.notes) == 1
    assert "onnx/model_int8.onnx" not in files_of(done.path)
    Artifact.open(done.path).check_files()


def test_where_all_targets_are_there_are_no_files(recorded, convert_again):
    done = convert_again(tuple(map(left_out, recorded.models)), verify=False)
    assert names_of(done.manifest) == FLOAT
    assert not [name for name in files_of(done.path) if "int8" in name]
    Artifact.open(done.path).check_files()


def test_a_fast_model_that_is_the_close_one_is_not_stored_twice(recorded, convert_again):
    close, _ = recorded.models
    done = convert_again((close, close), verify=False)
    assert names_of(done.manifest) == [*FLOAT, *(name for name in INT8 if name != "int8-fast")]
    assert "onnx/model_int8_fast.onnx" not in files_of(done.path)


def test_the_note_counts_each_projection_once(recorded):
    """A projection in float32 was given closer inputs before: it counts as one in float32 alone.""" ""
    close, _ = recorded.models
    sites = list(close.projections)
    rungs = (*(Rung(site, "closer") for site in sites), Rung(sites[0], "float32"))
    rest = {site: close.projections[site] for site in sites[1:]}
    model = Quantized(projections=rest, selection=dataclasses.replace(close.selection, rungs=rungs))
    total = len(sites)
    note = _note("int8", model)
    assert f"{total - 1} of {total} projections with inputs quantised more closely, 1 of {total} projections in" in note


def test_a_fast_model_that_is_the_close_one_is_told(recorded, convert_again):
    close, _ = recorded.models
    done = convert_again((close, close), verify=False)
    assert "int8-fast was left out: it would be the same as int8, which is as cheap as it gets." in done.notes


def judged_as(entry, name):
    """A variant's report in which it was measured to be of a class; None for below all of them."""
    bounds = BOUNDS.get("lossless" if name == "exact" else name)
    figures = {} if bounds is None else bounds._asdict()
    fidelity = dataclasses.replace(entry.fidelity, **figures)
    return dataclasses.replace(entry, fidelity=fidelity, measured_class=name, failures=("so it was judged",))


@pytest.fixture
def judged(converted, convert_again, monkeypatch):
    """A function: a class by int8 variant in; a verified conversion in which each was measured to be of it, out.

    The original is stood in for by vectors of the float32 variant, so no torch is needed.
    """
    texts = tuple(text for text in probe_texts() if len(text) < 100)[:24]
    with Encoder.load(converted.path, variant="fp32", threads=1) as encoder:
        vectors = encoder.encode(texts)
    measure = verification.run_verification

    def convert_judged(classes, *, original=vectors):
        def judge(artifact, **options):
            report = measure(artifact, **options)
            entries = {entry.name: entry for entry in report.variants}
            for name in classes.keys() - entries.keys():  # what this CPU cannot run is judged all the same
                entries[name] = dataclasses.replace(entries["portable"], name=name, fidelity_class="lossless")
            found = (
                judged_as(entry, classes.get(name, "balanced")) if name in classes or "int8" in name else entry
                for name, entry in entries.items()
            )
            return dataclasses.replace(report, variants=tuple(found))

        goldens = Goldens(texts=texts, vectors=original, reference={"dtype": "float32"})
        monkeypatch.setattr(verification, "run_verification", judge)
        monkeypatch.setattr(verification, "reference_available", lambda: True)
        original = Original(encoder=None, goldens=goldens, bare_folder=None)
        monkeypatch.setattr(verification, "run_original", lambda _, **__: original)
        return convert_again()

    convert_judged.vectors = vectors
    return convert_judged


def check_verified(done):
    """Manifest, report and files say the same."""
    Artifact.open(done.path).check_files()
    assert done.manifest.verified
    used = {name for variant in done.manifest.variants for name in variant.files}
    assert used == {name for name in files_of(done.path) if name.startswith("onnx/")}
    reported = json.loads((done.path / "report.json").read_text())["variants"]
    classes = {variant.name: variant.fidelity_class for variant in done.manifest.variants}
    assert {entry["name"]: entry["fidelity_class"] for entry in reported}.items() <= classes.items()
    return classes


def test_verification_settles_the_class(judged, recorded):
    found = {"int8": "balanced", "int8-fast": "lossless"}
    done = judged(found)
    classes = check_verified(done)
    close, fast = (model.selection.reached for model in recorded.models)
    chosen = {"int8": close, "int8-fast": fast}
    # The weaker of what was chosen on held-out texts and what was measured on the probes.
    weaker = {name: max(chosen[name], found[name], key=CLASSES.index) for name in found}
    assert {name: classes[name] for name in found} == weaker
    assert weaker["int8"] == "balanced" != close
    assert f"int8 is written as balanced, not {close}: on the probe texts so it was judged." in done.notes
    assert not any(note.startswith("int8-fast is written") for note in done.notes)
    assert weaker["int8-fast"] == fast != "lossless"
    for variant in done.manifest.variants:
        assert (variant.fidelity is not None) == (why_not_here(variant) is None)


def test_a_variant_below_every_class_goes_with_its_files(judged):
    done = judged({"int8-fast": None})
    assert "int8-fast" not in check_verified(done)
    assert not [name for name in files_of(done.path) if "fast" in name]
    note = "int8-fast was left out: on the probe texts it keeps no fidelity class (so it was judged)."
    assert note in done.notes


@pytest.mark.parametrize("kept", ["lossless", None])
def test_bfloat16_that_keeps_no_class_is_left_out(judged, kept):
    """On a CPU that has it, it is measured; a variant that nobody asked for does not end the conversion."""
    done = judged({"openvino-bf16": kept})
    assert {"fp32", "portable", "int8"} <= check_verified(done).keys()
    assert ("openvino-bf16" in names_of(done.manifest)) == (kept is not None)
    left_out = "openvino-bf16 was left out: on the probe texts it keeps no fidelity class (so it was judged)."
    assert (left_out in done.notes) == (kept is None)


def test_files_that_others_read_stay(judged):
    done = judged({"int8": None})
    assert "int8" not in check_verified(done)
    assert "onnx/model_int8.onnx" not in files_of(done.path)
    assert "onnx/model_int8.onnx_data" in files_of(done.path)


def test_files_go_when_the_last_of_their_variants_does(judged, monkeypatch):
    rows = tuple(row for row in INT8_ROWS if row.engine == "onnxruntime")
    monkeypatch.setattr("stonnx.compile.run.AuthoredInt8", functools.partial(AuthoredInt8, rows=rows))
    done = judged({"int8": None, "int8-fast": None})
    assert check_verified(done).keys() == set(FLOAT)
    assert "onnx/model_int8.onnx_data" not in files_of(done.path)


def test_a_float_variant_is_held_to_the_original(judged, tmp_path):
    with pytest.raises(VerificationError, match=r"not the original within the tolerance \(fp32: "):
        judged({}, original=judged.vectors[::-1])
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.reference
def test_against_the_original_itself(convert_again):
    done = convert_again()
    classes = check_verified(done)
    assert set(FLOAT) <= classes.keys()
    assert {"int8", "int8-fast"} <= classes.keys()
    assert done.report.reference["sentence-transformers"]
    for variant in done.manifest.variants:
        if variant.precision == "int8" and variant.fidelity is not None:
            assert variant.fidelity.cosine_min > 0.97
            assert variant.fidelity.max_abs_diff > 1e-5
