"""``convert``: int8 is the default where it can be, and what is said where it cannot."""

from __future__ import annotations

import pytest

from stonnx.compile import convert
from stonnx.errors import MissingExtraError, UsageError
from stonnx.graph.dialects import CannotWriteError

pytest.importorskip("onnxruntime")

FLOAT = ["fp32", "portable", "openvino", "openvino-bf16"]
TEXTS = ["hello world", "of and to in is a", "text number five"]


def names_of(manifest):
    return [variant.name for variant in manifest.variants]


def test_int8_is_the_default(source, tmp_path):
    done = convert(source, tmp_path / "out", verify=False)
    assert names_of(done.manifest)[: len(FLOAT) + 1] == [*FLOAT, "int8"]
    assert "quantize" in done.seconds


def without_onnxruntime(monkeypatch):
    for place in ("stonnx._extras", "stonnx.compile.int8"):
        monkeypatch.setattr(f"{place}.available", lambda module: module != "onnxruntime")


def test_where_it_cannot_be_it_is_left_out_with_a_note(source, tmp_path, monkeypatch):
    without_onnxruntime(monkeypatch)
    done = convert(source, tmp_path / "out", verify=False)
    assert names_of(done.manifest) == FLOAT
    (note,) = [note for note in done.notes if "int8" in note]
    assert "stonnx[cpu]" in note
    assert "stonnx quantize" in note


def test_where_it_was_asked_for_that_is_an_error_before_anything_is_read(tmp_path, monkeypatch):
    without_onnxruntime(monkeypatch)
    with pytest.raises(MissingExtraError, match="onnxruntime is needed to quantise a model"):
        convert(tmp_path / "nothing", tmp_path / "out", int8=True)


def test_what_int8_has_no_form_for_is_left_out_with_a_note(source, tmp_path, monkeypatch):
    def cannot(*_, **__):
        raise CannotWriteError("ort_cpu_int8", "causal attention")

    monkeypatch.setattr("stonnx.compile.sources.quantized.quantize", cannot)
    done = convert(source, tmp_path / "out", verify=False)
    assert names_of(done.manifest) == FLOAT
    assert "int8 was left out: The dialect ort_cpu_int8 cannot write causal attention." in done.notes


def test_texts_to_calibrate_nothing_on_are_a_mistake(tmp_path):
    with pytest.raises(UsageError, match="nothing else is calibrated") as caught:
        convert(tmp_path / "nothing", tmp_path / "out", int8=False, calibration_texts=TEXTS)
    assert "int8=False" in caught.value.hint


def test_openvino_variants_need_no_int8(source, tmp_path):
    done = convert(source, tmp_path / "out", verify=False, int8=False)
    assert names_of(done.manifest) == FLOAT
    portable, exact, bfloat16 = done.manifest.variants[1:]
    for variant in (exact, bfloat16):
        assert variant.engine == "openvino"
        assert (variant.graphs, variant.files) == (portable.graphs, portable.files)
    assert (exact.fidelity_class, exact.precision, exact.instruction_sets) == ("exact", "fp32", ())
    assert (bfloat16.fidelity_class, bfloat16.precision) == ("lossless", "bf16")
    assert bfloat16.instruction_sets
    assert bfloat16.options == {"INFERENCE_PRECISION_HINT": "bf16"}
    assert "quantize" not in done.seconds
