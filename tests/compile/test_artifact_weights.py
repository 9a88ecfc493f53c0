"""Weights that are read back from an artifact: what config.json says is held against the graph, and not made first."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from stonnx.artifact import Artifact, file_entries, write_manifest
from stonnx.checkpoint import resolve_source
from stonnx.checkpoint.weights import Weights
from stonnx.compile import convert, quantize_artifact
from stonnx.compile.artifact_weights import ArtifactWeights, _Place
from stonnx.errors import ArtifactError
from stonnx.graph.architectures.mpnet import rows_of_distances
from stonnx.testing import TinyModel, make_tiny_model

WORDS = "embeddings.word_embeddings.weight"
TYPES = "embeddings.token_type_embeddings.weight"  # of a RoBERTa, the graph has the vector of type 0 alone
MAP = "encoder.layer.0.intermediate.dense.weight"  # stored as the product takes it


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    model = TinyModel(family="roberta", max_tokens=48, config={"type_vocab_size": 1})
    return make_tiny_model(tmp_path_factory.mktemp("roberta") / "source", model)


@pytest.fixture(scope="module")
def artifact(source, tmp_path_factory):
    return Artifact.open(convert(source, tmp_path_factory.mktemp("art") / "out", verify=False, int8=False).path)


@pytest.fixture(scope="module")
def original(source):
    with Weights.open(resolve_source(source), "") as weights:
        yield {name: np.array(weights.get(name)) for name in (WORDS, TYPES, MAP)}


def test_they_are_those_of_the_original(artifact, original):
    weights = ArtifactWeights.open(artifact, {name: value.shape for name, value in original.items()})
    for name in (WORDS, MAP):
        assert weights.shape(name) == original[name].shape
        np.testing.assert_array_equal(weights.get(name), original[name])
    np.testing.assert_array_equal(weights.get(TYPES)[0], original[TYPES][0])


def test_the_shape_of_a_map_is_the_graphs_whatever_is_expected(artifact, original):
    weights = ArtifactWeights.open(artifact, {MAP: (3, 5), TYPES: original[TYPES].shape})
    assert weights.shape(MAP) == original[MAP].shape


def test_a_table_with_more_rows_than_fit_into_memory_takes_none(artifact, original):
    rows, width = 10**12, original[TYPES].shape[1]
    weights = ArtifactWeights.open(artifact, {TYPES: (rows, width)})
    found = weights.get(TYPES)
    assert found.shape == (rows, width)
    np.testing.assert_array_equal(found[0], original[TYPES][0])


@pytest.mark.parametrize("width", [1, 7])
def test_a_table_of_another_width_is_an_error_of_the_artifact(artifact, width):
    weights = ArtifactWeights.open(artifact, {TYPES: (1, width)})
    with pytest.raises(ArtifactError, match=r"token_type_embeddings\.weight cannot be read") as caught:
        weights.get(TYPES)
    assert "stonnx convert" in caught.value.hint


def test_a_model_that_takes_more_inputs_than_the_artifact_is_another(artifact, tmp_path):
    """Hashes fit; but the graphs know of one type of token, and config.json names a trillion."""
    pytest.importorskip("onnxruntime")
    copy = shutil.copytree(artifact.path, tmp_path / "art")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "type_vocab_size": 10**12}))
    write_manifest(copy, dataclasses.replace(artifact.manifest, files=file_entries(copy)))
    with pytest.raises(ArtifactError, match="is not the one of its manifest"):
        quantize_artifact(copy)


@pytest.mark.parametrize("shape", [(10**12, 2), (31, 2), (32, 3)])
def test_a_bias_of_distances_goes_into_no_other_table(tmp_path, shape):
    np.ones((1, 2, 9), dtype="<f4").tofile(tmp_path / "data")
    place = _Place(offset=0, dims=(1, 2, 9), shape=shape, restore=rows_of_distances)
    with pytest.raises(ArtifactError, match="a cannot be read"):
        ArtifactWeights(tmp_path / "data", {"a": place}).get("a")


@pytest.mark.parametrize(
    ("offset", "dims"), [(0, (10**6,)), (2**62, (4,)), (0, (-4,)), (0, (2**62, 2**62)), (2**40, (1,))]
)
def test_what_lies_outside_of_the_file_is_an_error_of_the_artifact(tmp_path, offset, dims):
    (tmp_path / "data").write_bytes(bytes(4096))
    place = _Place(offset=offset, dims=dims, shape=dims, restore=lambda stored, _: stored)
    weights = ArtifactWeights(tmp_path / "data", {"a": place})
    with pytest.raises(ArtifactError, match="a cannot be read"):
        weights.get("a")
