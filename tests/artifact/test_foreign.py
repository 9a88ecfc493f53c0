"""What in a folder is not stonnx's: only a folder without any may be replaced."""

from __future__ import annotations

import json

import pytest

from stonnx.artifact import MANIFEST_NAME, TUNE_FOLDER, foreign_files


@pytest.fixture
def artifact(tmp_path):
    """As little of an artifact as is recognised."""
    folder = tmp_path / "art"
    listed = ("onnx/model.onnx", "tokenizer.json", "1_Pooling/config.json")
    for name in listed:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    write_manifest(folder, {"schema_version": 2, "files": [{"path": name} for name in listed]})
    return folder


def write_manifest(folder, value):
    (folder / MANIFEST_NAME).write_text(json.dumps(value))


def test_an_artifact_has_nothing_foreign(artifact):
    assert list(foreign_files(artifact)) == []


def test_neither_has_a_damaged_one_or_one_of_another_version(artifact):
    (artifact / "onnx" / "model.onnx").unlink()
    (artifact / "tokenizer.json").write_text("cut off")
    (artifact / TUNE_FOLDER).mkdir()
    (artifact / TUNE_FOLDER / "0123456789abcdef.json").write_text("{}")
    manifest = json.loads((artifact / MANIFEST_NAME).read_text())
    write_manifest(artifact, {**manifest, "schema_version": 99, "new_key": 1})
    assert list(foreign_files(artifact)) == []


def test_an_empty_folder_has_nothing(tmp_path):
    assert list(foreign_files(tmp_path)) == []


def test_what_the_manifest_does_not_list_is_named(artifact):
    (artifact / "model.safetensors").write_text("precious")
    (artifact / "onnx" / "mine.txt").write_text("precious")
    (artifact / "notes" / "deep").mkdir(parents=True)
    (artifact / "empty").mkdir()
    assert list(foreign_files(artifact)) == ["model.safetensors", "empty/", "notes/", "onnx/mine.txt"]


@pytest.mark.parametrize(
    "manifest",
    [None, "", "{", "[]", "{}", '{"files": []}', '{"schema_version": 2}', '{"schema_version": 2, "files": 5}'],
)
def test_without_a_manifest_everything_is_foreign(artifact, manifest):
    path = artifact / MANIFEST_NAME
    path.unlink()
    if manifest is not None:
        path.write_text(manifest)
    names = ["stonnx.json"] if manifest is not None else []
    assert list(foreign_files(artifact)) == [*names, "tokenizer.json", "1_Pooling/", "onnx/"]


def test_links_to_folders_are_foreign_and_not_entered(artifact, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "model.onnx").write_text("precious")
    (artifact / "onnx" / "model.onnx").unlink()
    (artifact / "onnx").rmdir()
    (artifact / "onnx").symlink_to(tmp_path / "elsewhere")
    (artifact / TUNE_FOLDER).symlink_to(tmp_path / "elsewhere")
    assert list(foreign_files(artifact)) == [f"{TUNE_FOLDER}/", "onnx/"]


def test_a_folder_in_a_files_place_is_foreign(artifact):
    (artifact / "tokenizer.json").unlink()
    (artifact / "tokenizer.json").mkdir()
    (artifact / "tokenizer.json" / "mine.txt").write_text("precious")
    assert list(foreign_files(artifact)) == ["tokenizer.json/"]


def test_a_linked_manifest_is_no_manifest(artifact, tmp_path):
    (artifact / MANIFEST_NAME).rename(tmp_path / "manifest.json")
    (artifact / MANIFEST_NAME).symlink_to(tmp_path / "manifest.json")
    assert MANIFEST_NAME in list(foreign_files(artifact))


def test_paths_that_climb_list_nothing_else(artifact):
    write_manifest(artifact, {"schema_version": 2, "files": [{"path": "../mine.txt"}, {"path": 5}, None]})
    assert list(foreign_files(artifact)) == ["tokenizer.json", "1_Pooling/", "onnx/"]
