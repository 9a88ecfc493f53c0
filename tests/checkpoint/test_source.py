from __future__ import annotations

import shutil

import pytest

from stonnx.checkpoint import SourceFolder, Weights, read_model, resolve_source
from stonnx.errors import CheckpointError, UsageError


def test_a_folder_keeps_the_name_it_was_given(tiny):
    folder = tiny()
    source = resolve_source(str(folder))
    assert (source.path, source.name, source.revision) == (folder, str(folder), None)


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "org/name@", "a/b/c@main"])
def test_what_is_neither_a_folder_nor_a_hub_id_is_a_usage_error(text):
    with pytest.raises(UsageError):
        resolve_source(text)


@pytest.mark.parametrize("text", ["./no/such", "/no/such/folder", "../x", "a/b/c", "m3e-base"])
def test_a_path_that_does_not_exist_says_so(text):
    with pytest.raises(CheckpointError, match=r"does not exist|There is no folder") as caught:
        resolve_source(text)
    assert caught.value.hint


def test_a_path_object_is_never_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.setattr("stonnx.checkpoint.source.download", lambda *_: pytest.fail("the hub was asked"))
    with pytest.raises(CheckpointError, match="does not exist"):
        resolve_source(tmp_path / "org" / "name")


def test_a_folder_wins_over_a_hub_id(tiny, tmp_path, monkeypatch):
    shutil.copytree(tiny(), tmp_path / "org" / "name")
    monkeypatch.chdir(tmp_path)
    assert resolve_source("org/name").revision is None


def test_a_file_is_not_a_folder(tiny):
    with pytest.raises(CheckpointError, match="is a file"):
        resolve_source(tiny() / "config.json")


def test_a_folder_without_a_model_is_refused_with_a_hint(tmp_path):
    with pytest.raises(CheckpointError, match="not a model folder") as caught:
        resolve_source(tmp_path)
    assert "Sentence Transformers" in (caught.value.hint or "")


def test_an_artifact_counts_only_with_its_original_weights(tiny):
    folder = tiny()
    (folder / "stonnx.json").write_text("{}", encoding="utf-8")
    assert resolve_source(folder).path == folder
    (folder / "model.safetensors").rename(folder / "golden.safetensors")
    with pytest.raises(CheckpointError, match="converted stonnx artifact"):
        resolve_source(folder)


@pytest.mark.parametrize("name", ["../secret.json", "/etc/passwd", "a/../../secret.json", "..\\secret.json"])
def test_a_path_cannot_climb_out(tiny, name):
    with pytest.raises(CheckpointError, match="leaves the folder"):
        resolve_source(tiny()).file(name)


def test_a_link_out_of_the_folder_is_refused(tiny, tmp_path):
    folder = tiny()
    shutil.move(folder / "config.json", tmp_path / "elsewhere.json")
    (folder / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(CheckpointError, match="symbolic link out of its folder"):
        resolve_source(folder)


def test_a_link_to_itself_is_refused(tiny):
    folder = tiny()
    (folder / "config_sentence_transformers.json").unlink()
    (folder / "config_sentence_transformers.json").symlink_to("config_sentence_transformers.json")
    with pytest.raises(CheckpointError):
        read_model(resolve_source(folder))


def test_names_of_absurd_length_are_refused(tiny):
    with pytest.raises(CheckpointError):
        resolve_source(tiny()).read_json("a" * 5000)
    with pytest.raises(CheckpointError):
        resolve_source("a" * 5000)


def test_a_linked_weight_file_is_refused(tiny, tmp_path):
    folder = tiny()
    shutil.move(folder / "model.safetensors", tmp_path / "elsewhere")
    (folder / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="symbolic link out of its folder"):
        Weights.open(resolve_source(folder))


def _as_cache(model, cache, blobs):
    """Lay the model out as a snapshot of a Hugging Face cache, its files as links into ``blobs``."""
    snapshot = cache / "models--org--name" / "snapshots" / ("0" * 40)
    blobs.mkdir(parents=True)
    for index, path in enumerate(p for p in sorted(model.rglob("*")) if p.is_file()):
        link = snapshot / path.relative_to(model)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, blobs / f"blob{index}")
        link.symlink_to(blobs / f"blob{index}")
    return snapshot


def test_a_snapshot_of_the_hub_cache_may_link_to_its_blobs(tiny, tmp_path):
    snapshot = _as_cache(tiny(), tmp_path / "hub", tmp_path / "hub" / "models--org--name" / "blobs")
    source = resolve_source(snapshot)
    assert read_model(source).max_tokens == 64
    assert Weights.open(source).names()


def test_a_snapshot_may_link_to_the_blobs_that_repositories_share(tiny, tmp_path):
    snapshot = _as_cache(tiny(), tmp_path / "hub", tmp_path / "hub" / "blobs")
    with pytest.raises(CheckpointError, match="symbolic link"):
        resolve_source(snapshot)
    (tmp_path / "hub" / "blobs" / ".huggingface-shared-blobs").write_text("1\n", encoding="utf-8")
    assert resolve_source(snapshot).exists("config.json")


def test_a_blob_store_that_is_a_link_is_not_trusted(tiny, tmp_path):
    snapshot = _as_cache(tiny(), tmp_path / "hub", tmp_path / "elsewhere")
    (tmp_path / "hub" / "models--org--name" / "blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="symbolic link"):
        resolve_source(snapshot)


def test_json_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("[]", encoding="utf-8")
    source = SourceFolder(path=tmp_path, name="x", revision=None)
    assert source.read_json("config.json") == []
    with pytest.raises(CheckpointError, match="expected a JSON object"):
        source.read_object("config.json")
