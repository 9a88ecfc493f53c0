"""Head modules appended to a graph that exists: the numbers of a graph that was written whole."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnx.utils import Extractor

from stonnx.checkpoint import Weights
from stonnx.errors import UnsupportedModelError
from stonnx.graph import WeightFile, append_chain
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling, chain_of
from stonnx.testing import TinyModel

HEAD = (
    Pooling(modes=("mean", "cls"), include_prompt=False),
    Dense(path="", in_features=64, out_features=24, bias=True, activation="GELU"),
    LayerNorm(path="", dimension=24),
    Normalize(),
)


@pytest.fixture
def model(author):
    """A model whose graphs were written whole."""
    return author(TinyModel(head=HEAD))


@pytest.fixture
def encoder(model):
    """Its portable graph, cut off after the token vectors."""
    whole = onnx.load(model.folder / "portable.onnx", load_external_data=False)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    return Extractor(whole).extract_model(names, ["last_hidden_state"])


def append(model, encoder, chain):
    with WeightFile(model.folder / "head.onnx_data") as weights:
        return append_chain(encoder, chain, weights, lambda path: Weights.open(model.source, path))


def test_same_numbers(model, encoder, padded):
    before = encoder.SerializeToString()
    whole = append(model, encoder, model.blueprint.chain)
    assert encoder.SerializeToString() == before
    onnx.save(whole, model.folder / "appended.onnx")
    onnx.checker.check_model(str(model.folder / "appended.onnx"), full_check=True)
    ids, mask = padded
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * ids, "prompt_lengths": np.array([2, 0, 0])}
    expected = model.sessions["portable"].run(None, feeds)
    session = onnxruntime.InferenceSession(model.folder / "appended.onnx")
    assert [output.name for output in session.get_outputs()] == ["last_hidden_state", "sentence_embedding"]
    for found, wanted in zip(session.run(None, feeds), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_graphs_that_do_not_fit_are_refused(model, encoder):
    chain = model.blueprint.chain
    other = onnx.ModelProto()
    other.CopyFrom(encoder)
    del other.opset_import[:]
    other.opset_import.append(helper.make_opsetid("", 11))
    with pytest.raises(UnsupportedModelError, match="version 11 of ONNX's operators"):
        append(model, other, chain)
    whole = onnx.load(model.folder / "portable.onnx", load_external_data=False)
    (model.folder / "head.onnx_data").unlink()
    with pytest.raises(UnsupportedModelError, match="has the output sentence_embedding already"):
        append(model, whole, chain)
    encoder.graph.output[0].name = "hidden"
    (model.folder / "head.onnx_data").unlink()
    with pytest.raises(UnsupportedModelError, match="gives hidden; expected input_ids and last_hidden_state"):
        append(model, encoder, chain_of((Pooling(),), kind="embedding", width=32))
