"""Where ``convert`` may write: never over the model, and never over what the user has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stonnx.artifact import Artifact
from stonnx.checkpoint import SourceFolder
from stonnx.compile import convert
from stonnx.errors import RunError, UsageError


def content(folder):
    """Every path below a folder, with what it holds."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() or path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "out",
    [
        "models/m",  # the source
        "models",  # above it
        ".",
        "models/m/out",  # in it
        "models/m/1_Pooling",
        "models/m/new/deep",
        "models/../models/m",
        "link",  # the source, by a link
        "link/out",
        "above/m",
    ],
)
@pytest.mark.parametrize("source", ["models/m", "link"])
def test_the_source_is_never_touched(tmp_path, monkeypatch, source, out, force):
    monkeypatch.chdir(tmp_path)
    tiny_source(tmp_path / "models" / "m")
    (tmp_path / "link").symlink_to("models/m")
    (tmp_path / "above").symlink_to("models")
    before = content(tmp_path)
    with pytest.raises(UsageError, match="overlap"):
        convert(source, out, force=force, verify=False, int8=False)
    assert content(tmp_path) == before


def tiny_source(folder):
    """Nothing is read of it, so that it needs to be no real model."""
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"precious")


@pytest.mark.parametrize("out", ["snapshot", "snapshot/out", "."])
def test_neither_is_the_snapshot_of_a_hub_model(tmp_path, monkeypatch, out):
    """Its folder is known only once it was fetched; nothing was written by then."""
    monkeypatch.chdir(tmp_path)
    tiny_source(tmp_path / "snapshot")
    fetched = SourceFolder(path=tmp_path / "snapshot", name="org/name", revision=None)
    monkeypatch.setattr("stonnx.compile.run.resolve_source", lambda source: fetched)
    before = content(tmp_path)
    with pytest.raises(UsageError, match="overlap" if out == "snapshot/out" else "overlap|did not write"):
        convert("org/name", out, force=True, verify=False, int8=False)
    assert content(tmp_path) == before


def test_a_bad_target_is_told_before_a_hub_model_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr("stonnx.compile.run.resolve_source", lambda source: pytest.fail("fetched"))
    (tmp_path / "out").write_text("precious")
    with pytest.raises(UsageError, match="not a folder"):
        convert("org/name", tmp_path / "out", verify=False, int8=False)
    with pytest.raises(RunError, match="File name too long"):
        convert("org/name", tmp_path / ("x" * 256), verify=False, int8=False)


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_the_users_is_never_replaced(source, tmp_path, force):
    home = tmp_path / "home"
    for name in ("thesis.tex", "photos/1.jpg", "a.txt", "b.txt"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("precious")
    before = content(tmp_path)
    with pytest.raises(UsageError, match=r"did not write: a\.txt, b\.txt, thesis\.tex and more\.") as caught:
        convert(source, home, force=force, verify=False, int8=False)
    assert "--force" not in str(caught.value)
    assert content(tmp_path) == before


def test_an_artifact_with_a_file_of_the_users_is_never_replaced(source, tmp_path):
    out = tmp_path / "out"
    convert(source, out, verify=False, int8=False)
    (out / "notes.txt").write_text("precious")
    before = content(tmp_path)
    with pytest.raises(UsageError, match=r"did not write: notes\.txt\. "):
        convert(source, out, force=True, verify=False, int8=False)
    assert content(tmp_path) == before


def test_a_file_that_comes_in_during_the_conversion_is_kept(source, tmp_path):
    out = tmp_path / "out"
    convert(source, out, verify=False, int8=False)

    def leave_a_note(sentence):
        (out / "notes.txt").write_text("precious")

    with pytest.raises(UsageError, match=r"did not write: notes\.txt"):
        convert(source, out, force=True, verify=False, on_step=leave_a_note, int8=False)
    assert (out / "notes.txt").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_an_empty_folder_and_a_broken_artifact_are_replaced_when_told(source, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UsageError, match="force=True"):
        convert(source, out, verify=False, int8=False)
    convert(source, out, force=True, verify=False, int8=False)
    shutil.rmtree(out / "onnx")
    convert(source, out, force=True, verify=False, int8=False)
    Artifact.open(out).check_files()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_a_link_is_never_replaced(source, tmp_path):
    convert(source, tmp_path / "real", verify=False, int8=False)
    (tmp_path / "out").symlink_to("real")
    with pytest.raises(UsageError, match="not a folder"):
        convert(source, tmp_path / "out", force=True, verify=False, int8=False)
    assert (tmp_path / "out").is_symlink()


@pytest.mark.parametrize("source", ["", "  "])
def test_an_empty_source_is_no_folder_here(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="source is empty"):
        convert(source, Path("out"), verify=False, int8=False)


def test_folders_made_for_a_conversion_that_fails_go_again(source, tmp_path):
    (source / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(Exception, match="safetensors"):
        convert(source, tmp_path / "a" / "b" / "out", verify=False, int8=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
