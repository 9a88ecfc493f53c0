"""A file is hashed once where that was asked for, and again as soon as somebody wrote to it."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, file_entries
from stonnx.artifact.seen_files import SeenFiles
from stonnx.compile import convert
from stonnx.errors import ArtifactError
from stonnx.testing import make_tiny_model

WEIGHTS = "onnx/model.onnx_data"


@pytest.fixture
def folder(tmp_path):
    return convert(make_tiny_model(tmp_path / "source"), tmp_path / "out", verify=False, int8=False).path


@pytest.fixture
def hashed(monkeypatch):
    """Counts the files that are hashed, by their path in the artifact."""
    from stonnx._io import sha256_file

    counts = Counter()

    def counting(path):
        counts[path.as_posix().rpartition("/out/")[2]] += 1
        return sha256_file(path)

    monkeypatch.setattr("stonnx.artifact.seen_files.sha256_file", counting)
    monkeypatch.setattr("stonnx.artifact.folder.sha256_file", counting)
    return counts


def change(folder):
    """Another byte in the weights; their size, and their times as a user sees them, stay."""
    weights = folder / WEIGHTS
    before = weights.stat()
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_nothing_is_remembered_unless_somebody_asks(folder, hashed):
    artifact = Artifact.open(folder)
    artifact.check_files([WEIGHTS])
    artifact.check_files([WEIGHTS])
    Encoder.load(artifact, variant="fp32").close()
    assert hashed[WEIGHTS] == 3


def test_each_file_is_hashed_once(folder, hashed):
    artifact = Artifact.open(folder).remembering()
    artifact.check_files()
    for variant in ("fp32", "portable"):
        with Encoder.load(artifact, variant=variant) as encoder:
            assert encoder.encode("hello").shape == (32,)
    assert hashed[WEIGHTS] == 1
    assert set(hashed.values()) == {1}


def test_a_file_that_was_changed_after_it_was_checked_is_found(folder):
    artifact = Artifact.open(folder).remembering()
    artifact.check_files()
    change(folder)
    with pytest.raises(ArtifactError, match=r"model\.onnx_data was changed"):
        Encoder.load(artifact, variant="fp32")


def test_a_file_that_takes_the_place_of_a_checked_one_is_found(folder):
    artifact = Artifact.open(folder).remembering()
    artifact.check_files()
    other = folder / "other"
    other.write_bytes(bytes((folder / WEIGHTS).stat().st_size))
    other.replace(folder / WEIGHTS)
    with pytest.raises(ArtifactError, match=r"model\.onnx_data was changed"):
        artifact.check_files([WEIGHTS])


def test_what_was_hashed_for_the_manifest_is_not_hashed_again(folder, hashed):
    seen = SeenFiles()
    entries = file_entries(folder, seen=seen)
    artifact = Artifact.open(folder).remembering(seen)
    assert artifact == Artifact.open(folder)
    assert set(entries) == set(artifact.manifest.files)
    artifact.check_files()
    assert set(hashed.values()) == {1}


def test_what_changes_while_it_is_hashed_is_not_remembered(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def slow(path):
        path.write_text("newer")
        return "of something in between"

    monkeypatch.setattr("stonnx.artifact.seen_files.sha256_file", slow)
    seen = SeenFiles()
    assert seen.sha256(path) == "of something in between"
    monkeypatch.undo()
    assert seen.sha256(path).startswith("804f51f7")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        SeenFiles().sha256(tmp_path / "none")
