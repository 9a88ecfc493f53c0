"""An artifact as a hub cache lays it out: every file a link into ``blobs``."""

from __future__ import annotations

import os

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.compile import convert
from stonnx.errors import ArtifactError
from stonnx.testing import make_tiny_model


def _as_cache(artifact, cache, blobs, below=""):
    """Lay an artifact out as a snapshot, with relative links, as huggingface_hub writes them."""
    snapshot = cache / "models--org--name" / "snapshots" / ("0" * 40)
    blobs.mkdir(parents=True)
    for index, path in enumerate(p for p in sorted(artifact.rglob("*")) if p.is_file()):
        link = snapshot / below / path.relative_to(artifact)
        link.parent.mkdir(parents=True, exist_ok=True)
        path.rename(blobs / f"blob{index}")
        try:
            link.symlink_to(os.path.relpath(blobs / f"blob{index}", link.parent))
        except OSError:
            pytest.skip("links cannot be made here")
    return snapshot / below


@pytest.mark.parametrize("below", ["", "artifact"])
def test_links_into_the_blobs_of_the_cache_are_followed(valid, load, tmp_path, below):
    folder = _as_cache(valid, tmp_path / "hub", tmp_path / "hub" / "models--org--name" / "blobs", below)
    assert (folder / "stonnx.json").is_symlink()
    assert load(folder).goldens() is not None


def test_blobs_that_repositories_share_are_followed_where_the_hub_marks_them(valid, load, tmp_path):
    folder = _as_cache(valid, tmp_path / "hub", tmp_path / "hub" / "blobs")
    with pytest.raises(ArtifactError, match="symbolic link out of its folder"):
        load(folder)
    (tmp_path / "hub" / "blobs" / ".huggingface-shared-blobs").write_text("1\n", encoding="utf-8")
    load(folder)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_runs_from_the_cache_or_says_what_to_do(tmp_path, engine):
    """The weights lie beside the link, not beside what it leads to; OpenVINO looks there."""
    pytest.importorskip(engine)
    convert(make_tiny_model(tmp_path / "source"), tmp_path / "out", verify=False, int8=False)
    with Encoder.load(tmp_path / "out", variant="portable") as encoder:
        expected = encoder.encode(["a text"])
    cache = tmp_path / "hub"
    folder = _as_cache(tmp_path / "out", cache, cache / "models--org--name" / "blobs")
    if engine == "onnxruntime":
        with Encoder.load(folder, variant="portable") as encoder:
            np.testing.assert_array_equal(encoder.encode(["a text"]), expected)
    else:
        with pytest.raises(ArtifactError) as caught:
            Encoder.load(folder, variant="openvino")
        assert "copy the artifact out of the cache" in caught.value.hint


def test_a_link_beside_the_blobs_is_refused(valid, load, tmp_path):
    folder = _as_cache(valid, tmp_path / "hub", tmp_path / "hub" / "models--org--name" / "blobs")
    path = folder / "tokenizer.json"
    outside = tmp_path / "hub" / "models--org--name" / "tokenizer.json"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(ArtifactError, match="symbolic link out of its folder"):
        load(folder)


def test_a_link_into_blobs_is_refused_where_there_is_no_cache(valid, load, tmp_path):
    folder = _as_cache(valid, tmp_path / "hub", tmp_path / "hub" / "models--org--name" / "blobs")
    folder.parent.rename(folder.parent.with_name("elsewhere"))
    with pytest.raises(ArtifactError, match="symbolic link out of its folder"):
        load(folder.parents[1] / "elsewhere" / folder.name)
