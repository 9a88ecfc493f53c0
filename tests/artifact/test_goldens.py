"""Goldens survive the folder; damaged ones are refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from stonnx.artifact import Artifact, Goldens, file_entries, read_goldens, write_goldens, write_manifest
from stonnx.errors import ArtifactError, UsageError

TEXTS = ("", "今天是周五啦", "a\0b\x1f\u2028", "lone \ud83d surrogate", "👩‍👩‍👧", "x" * 5000)
VECTORS = np.random.default_rng(0).standard_normal((len(TEXTS), 3)).astype(np.float32)


def test_round_trip(tmp_path):
    write_goldens(tmp_path, Goldens(TEXTS, VECTORS, {"dtype": "float32"}))
    found = read_goldens(tmp_path)
    assert found is not None
    assert found.texts == TEXTS
    assert found.reference == {"dtype": "float32"}
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, VECTORS)


def test_a_transposed_view_is_written_in_order(tmp_path):
    view = np.arange(6, dtype=np.float32).reshape(3, 2).T
    write_goldens(tmp_path, Goldens(("a", "b"), view, {}))
    np.testing.assert_array_equal(read_goldens(tmp_path).vectors, view)


def test_none_when_there_are_none(tmp_path, valid, manifest):
    assert read_goldens(tmp_path) is None
    (valid / "golden.json").unlink()
    (valid / "golden.safetensors").unlink()
    write_manifest(valid, replace(manifest, files=file_entries(valid)))
    assert Artifact.open(valid).goldens() is None


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (VECTORS[:2], "there are 6 texts and 2 vectors"),
        (VECTORS.astype(np.float64), "found float64"),
        (VECTORS[:, 0], r"found \(6,\)"),
        (VECTORS[:, :0], r"found \(6, 0\)"),
        (VECTORS * np.float32(np.nan), "not finite"),
    ],
)
def test_bad_vectors_are_neither_written_nor_read(tmp_path, vectors, message):
    from safetensors.numpy import save_file

    with pytest.raises(UsageError, match=message):
        write_goldens(tmp_path, Goldens(TEXTS, vectors, {}))
    assert not list(tmp_path.iterdir())
    write_goldens(tmp_path, Goldens(TEXTS, VECTORS, {}))
    save_file({"vectors": np.ascontiguousarray(vectors)}, tmp_path / "golden.safetensors")
    with pytest.raises(ArtifactError, match=message.replace("found float64", "found F64")):
        read_goldens(tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"texts": []},
        {"texts": "a", "reference": {}},
        {"texts": [1], "reference": {}},
        {"texts": [], "reference": {"a": 1}},
        {"texts": [], "reference": {}, "more": 1},
    ],
)
def test_bad_descriptions(tmp_path, value):
    write_goldens(tmp_path, Goldens(TEXTS, VECTORS, {}))
    (tmp_path / "golden.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"golden\.json"):
        read_goldens(tmp_path)


@pytest.mark.parametrize("missing", ["golden.json", "golden.safetensors"])
def test_half_of_a_pair(tmp_path, missing):
    write_goldens(tmp_path, Goldens(TEXTS, VECTORS, {}))
    (tmp_path / missing).unlink()
    with pytest.raises(ArtifactError, match=f"{missing} does not exist"):
        read_goldens(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x10\0\0\0\0\0\0\0{}", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}"])
def test_damaged_vectors(tmp_path, content):
    write_goldens(tmp_path, Goldens(TEXTS, VECTORS, {}))
    (tmp_path / "golden.safetensors").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"golden\.safetensors is damaged"):
        read_goldens(tmp_path)


def test_another_tensor_name(tmp_path):
    from safetensors.numpy import save_file

    write_goldens(tmp_path, Goldens(TEXTS, VECTORS, {}))
    save_file({"other": VECTORS}, tmp_path / "golden.safetensors")
    with pytest.raises(ArtifactError, match="expected one tensor named 'vectors'"):
        read_goldens(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_both_files_have_the_same_permissions(tmp_path):
    write_goldens(tmp_path, Goldens(TEXTS, VECTORS, {}))
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
