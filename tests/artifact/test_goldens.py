"""Goldens survive the folder; damaged ones are refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from stonnx.artifact import (
    Artifact,
    Goldens,
    PairGoldens,
    file_entries,
    read_goldens,
    write_goldens,
    write_manifest,
)
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


PAIRS = tuple(zip(TEXTS, TEXTS[::-1], strict=True))


def pair_goldens(**changes):
    return replace(PairGoldens(pairs=PAIRS, scores=VECTORS / 7, logits=VECTORS, reference={"torch": "2"}), **changes)


def test_pairs_survive_the_folder(tmp_path):
    write_goldens(tmp_path, pair_goldens())
    found = read_goldens(tmp_path)
    assert isinstance(found, PairGoldens)
    assert (found.pairs, found.reference, found.width) == (PAIRS, {"torch": "2"}, 3)
    np.testing.assert_array_equal(found.scores, VECTORS / 7)
    np.testing.assert_array_equal(found.logits, VECTORS)
    written = json.loads((tmp_path / "golden.json").read_text(encoding="utf-8"))
    assert written["pairs"][0] == list(PAIRS[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pairs": PAIRS[:2]}, "there are 2 pairs and 6 scores"),
        ({"logits": VECTORS[:, :2]}, r"scores have the shape \(6, 3\), logits \(6, 2\)"),
        ({"logits": VECTORS * np.float32(np.inf)}, "some logits are not finite"),
        ({"scores": VECTORS.astype(np.float64)}, "expected float32 scores, found float64"),
        ({"scores": VECTORS[:, 0]}, r"expected scores of shape \(pairs, labels\), found \(6,\)"),
    ],
)
def test_bad_scores_are_neither_written_nor_read(tmp_path, changes, message):
    from safetensors.numpy import save_file

    wrong = pair_goldens(**changes)
    with pytest.raises(UsageError, match=message):
        write_goldens(tmp_path, wrong)
    assert not list(tmp_path.iterdir())
    write_goldens(tmp_path, pair_goldens())
    described = {"reference": {}, "pairs": [list(pair) for pair in wrong.pairs]}
    (tmp_path / "golden.json").write_text(json.dumps(described), encoding="utf-8")
    arrays = {"scores": wrong.scores, "logits": wrong.logits}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, tmp_path / "golden.safetensors")
    with pytest.raises(ArtifactError, match="float32 scores" if "float64" in message else message):
        read_goldens(tmp_path)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"reference": {}, "pairs": [["a"]]}, "pairs is .*; expected a list of lists of two texts"),
        ({"reference": {}, "pairs": [["a", 1]]}, "pairs is .*; expected a list of lists of two texts"),
        ({"reference": {}, "pairs": "ab"}, "pairs is .*; expected a list of lists of two texts"),
        (
            {"reference": {}, "pairs": [["a", "b"]], "texts": ["a"]},
            "expected the keys reference, pairs; found 'pairs', 'reference', 'texts'",
        ),
        ({"reference": {"torch": 2}, "pairs": [["a", "b"]]}, "reference is .*; expected texts by name"),
    ],
)
def test_pairs_of_another_form_are_refused(tmp_path, described, message):
    write_goldens(tmp_path, pair_goldens())
    (tmp_path / "golden.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(ArtifactError, match=message):
        read_goldens(tmp_path)


def test_texts_beside_scores_are_refused(tmp_path):
    write_goldens(tmp_path, pair_goldens())
    (tmp_path / "golden.json").write_text(json.dumps({"reference": {}, "texts": ["a"] * 6}), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"expected one tensor named 'vectors', found \['logits', 'scores'\]"):
        read_goldens(tmp_path)


def test_an_embedding_carries_no_pairs(valid, manifest):
    write_goldens(valid, pair_goldens())
    write_manifest(valid, replace(manifest, files=file_entries(valid)))
    with pytest.raises(ArtifactError, match=r"holds pairs, but the kind in stonnx\.json is 'embedding'"):
        Artifact.open(valid).goldens()
