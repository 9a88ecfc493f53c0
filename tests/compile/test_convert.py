"""``convert``: what lies in the artifact, and that nothing is left behind when it fails."""

from __future__ import annotations

import errno
import json

import numpy as np
import onnx
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact
from stonnx.checkpoint import SourceFolder, read_model, resolve_source
from stonnx.compile import Unverified, convert, verification
from stonnx.errors import CheckpointError, RunError, UnsupportedModelError, UsageError
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_artifact_is_complete(source, tmp_path):
    done = convert(source, tmp_path / "out", verify=False, int8=False)
    artifact = Artifact.open(tmp_path / "out")
    artifact.check_files()
    assert artifact.manifest == done.manifest
    assert [variant.name for variant in done.manifest.variants] == ["fp32", "portable", "openvino", "openvino-bf16"]
    assert not done.manifest.verified
    assert done.unverified == Unverified(reason="Verification was left out.")
    assert set(done.seconds) == {"read", "author"}
    assert leftovers(tmp_path) == ["out", "source"]


def test_artifact_is_still_a_sentence_transformers_folder(tiny, tmp_path):
    """What the artifact says about the model is what the source says."""
    head = (
        Pooling(modes=("mean", "cls"), include_prompt=False),
        Dense(path="", in_features=64, out_features=16, bias=True, activation="GELU"),
        LayerNorm(path="", dimension=16),
        Normalize(),
    )
    folder = tiny(head=head, prompts={"query": "q: "}, default_prompt_name="query", max_tokens=40)
    convert(folder, tmp_path / "out", verify=False, int8=False)
    before = read_model(resolve_source(folder))
    after = read_model(SourceFolder(path=tmp_path / "out", name=str(folder), revision=None))
    assert after == before


def test_nothing_executable_or_pickled_is_carried_over(source, tmp_path):
    (source / "modeling_evil.py").write_text("raise SystemExit")
    (source / "pytorch_model.bin").write_bytes(b"\x80\x04")
    (source / "optimizer.pkl").write_bytes(b"\x80\x04")
    convert(source, tmp_path / "out", verify=False, int8=False)
    suffixes = {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".txt", ".md", ".onnx", ".onnx_data", ".safetensors"}


def test_variants_agree(source, tmp_path):
    convert(source, tmp_path / "out", verify=False, int8=False)
    texts = ["", "a", "hello world", "今天 hello", "x " * 60]
    vectors = [Encoder.load(tmp_path / "out", variant=name).encode(texts) for name in ("fp32", "portable")]
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-6


def test_bare_folder_gets_mean_pooling_and_says_so(tiny, tmp_path):
    done = convert(tiny(with_modules_json=False, head=()), tmp_path / "out", verify=False, int8=False)
    assert any("mean" in note and "modules.json" in note for note in done.notes)
    modules = json.loads((tmp_path / "out" / "modules.json").read_text())
    assert [module["type"].rpartition(".")[2] for module in modules] == ["Transformer", "Pooling"]


def test_unused_tensors_are_listed(source, tmp_path):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(source / "model.safetensors")
    save_file({**tensors, "pooler.dense.weight": np.zeros((2, 2), np.float32)}, source / "model.safetensors")
    assert "pooler.dense.weight" in convert(source, tmp_path / "out", verify=False, int8=False).unused_tensors


def test_existing_out_is_refused_and_kept(source, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match="exists already"):
        convert(source, out, verify=False, int8=False)
    assert leftovers(out) == ["mine.txt"]


def test_force_replaces_whole(source, tmp_path):
    out = tmp_path / "out"
    convert(source, out, verify=False, int8=False)
    (out / "tokenizer.json").write_text("changed")
    (out / ".stonnx-tune").mkdir()
    (out / ".stonnx-tune" / "0123456789abcdef.json").write_text("{}")
    convert(source, out, force=True, verify=False, int8=False)
    Artifact.open(out).check_files()
    assert not (out / ".stonnx-tune").exists()
    assert leftovers(tmp_path) == ["out", "source"]


def test_force_keeps_the_old_one_when_it_fails(source, tmp_path):
    out = tmp_path / "out"
    convert(source, out, verify=False, int8=False)
    (source / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError):
        convert(source, out, force=True, verify=False, int8=False)
    Artifact.open(out).check_files()
    assert leftovers(tmp_path) == ["out", "source"]


@pytest.mark.parametrize("moment", ["reading", "authoring"])
def test_interrupt_leaves_nothing(source, tmp_path, moment):
    def interrupt(sentence):
        if sentence.startswith(moment):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "out", verify=False, on_step=interrupt, int8=False)
    assert leftovers(tmp_path) == ["source"]


def test_full_disk_leaves_nothing(source, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(RunError, match="No space left"):
        convert(source, tmp_path / "out", verify=False, int8=False)
    assert leftovers(tmp_path) == ["source"]


def test_unwritable_out(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        convert(source, tmp_path / "file" / "out", verify=False, int8=False)


def test_unsupported_architecture(source, tmp_path):
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"model_type": "t5"}))
    with pytest.raises(UnsupportedModelError, match="t5"):
        convert(source, tmp_path / "out", verify=False, int8=False)
    assert leftovers(tmp_path) == ["source"]


def test_a_missing_reference_is_told(source, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "reference_available", lambda: False)
    done = convert(source, tmp_path / "out", int8=False)
    assert done.report is None
    assert done.unverified == Unverified(reason="The original model cannot be run here.", extra="reference")
