"""Opening, finding files, hashing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import stonnx.artifact
from stonnx.artifact import Artifact, file_entries
from stonnx.errors import ArtifactError, UsageError


def test_paths_may_be_strings(valid):
    artifact = Artifact.open(str(valid))
    assert artifact.path == valid
    assert artifact.file("onnx/model.onnx") == valid / "onnx" / "model.onnx"


def test_file_stays_inside(valid):
    with pytest.raises(ArtifactError, match="leaves the folder"):
        Artifact.open(valid).file("../x")


def test_missing_path(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist"):
        Artifact.open(tmp_path / "none")


def test_a_file_is_no_artifact(valid):
    with pytest.raises(ArtifactError, match="is not a folder"):
        Artifact.open(valid / "stonnx.json")


def test_an_empty_folder(tmp_path):
    with pytest.raises(ArtifactError, match=r"it has no stonnx\.json"):
        Artifact.open(tmp_path)


def test_a_model_folder_names_the_command(tmp_path):
    (tmp_path / "modules.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ArtifactError) as caught:
        Artifact.open(tmp_path)
    assert caught.value.hint == f"stonnx convert {tmp_path} OUT"


def test_variant(valid):
    artifact = Artifact.open(valid)
    assert artifact.variant("portable").graph.file == "onnx/model.onnx"
    with pytest.raises(UsageError, match=r"no variant 'int8'; it has fp32, portable"):
        artifact.variant("int8")


def test_check_files_looks_only_at_what_is_named(valid):
    path = valid / "config.json"
    path.write_bytes(path.read_bytes().replace(b"bert", b"BERT"))
    artifact = Artifact.open(valid)
    artifact.check_files(["tokenizer.json", "onnx/model.onnx"])
    artifact.check_files([])
    with pytest.raises(ArtifactError, match=r"config\.json was changed"):
        artifact.check_files()
    with pytest.raises(UsageError, match=r"lists no file 'nothing'"):
        artifact.check_files(["nothing"])


def test_check_files_notices_what_vanished_since(valid):
    artifact = Artifact.open(valid)
    (valid / "tokenizer.json").unlink()
    with pytest.raises(ArtifactError, match=r"tokenizer\.json is missing"):
        artifact.check_files()


def test_surplus_files_are_left_alone(valid):
    (valid / "README.md").write_text("mine", encoding="utf-8")
    Artifact.open(valid).check_files()


def test_file_entries(valid, manifest):
    assert file_entries(valid) == manifest.files


def test_choices_of_tune_are_no_part_of_the_artifact(valid, manifest):
    (valid / ".stonnx-tune").mkdir()
    (valid / ".stonnx-tune" / "0123.json").write_text("{}", encoding="utf-8")
    assert file_entries(valid) == manifest.files
    Artifact.open(valid).check_files()
    assert [entry.path for entry in manifest.files] == sorted(entry.path for entry in manifest.files)


def test_file_entries_refuse_links(valid, tmp_path):
    try:
        (valid / "link").symlink_to(tmp_path)
    except OSError:
        pytest.skip("links cannot be made here")
    with pytest.raises(ArtifactError, match="not a regular file"):
        file_entries(valid)


def test_public_names_exist():
    assert all(hasattr(stonnx.artifact, name) for name in stonnx.artifact.__all__)
    assert stonnx.artifact.__all__ == sorted(
        stonnx.artifact.__all__, key=lambda name: (not name.isupper(), name.islower(), name)
    )


def test_nothing_heavy_is_imported():
    heavy = (
        "onnx onnxruntime torch transformers sentence_transformers tokenizers safetensors huggingface_hub rich".split()
    )
    code = f"import stonnx.artifact, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
