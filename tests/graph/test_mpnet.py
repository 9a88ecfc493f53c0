"""MPNet: positions that count real tokens, and the bias by distance."""

from __future__ import annotations

import numpy as np
import pytest

from stonnx.errors import CheckpointError
from stonnx.graph.architectures.mpnet import read_mpnet, relative_buckets
from stonnx.testing import TinyModel
from tests.graph import oracle

TOLERANCE = 1e-5  # float32 against float64, on hidden states that reach 4 with these weights


def test_hidden_state_is_mpnets(author, padded):
    model = author(TinyModel(family="mpnet", head=TinyModel().head))
    ids, mask = padded
    ids = np.where(mask == 1, ids, 1)
    hidden, _ = model.sessions["portable"].run(None, {"input_ids": ids, "attention_mask": mask})
    expected = oracle.mpnet(model.blueprint.parameters.get, model.spec.config, ids, mask)
    assert np.abs(hidden - expected)[mask == 1].max() < TOLERANCE


@pytest.mark.parametrize("tokens", [1, 9, 40])
def test_optimized_graph_agrees(author, tokens):
    """Up to and past the distances whose buckets are exact."""
    model = author(TinyModel(family="mpnet"))
    ids = np.random.default_rng(tokens).integers(5, 40, (3, tokens))
    mask = np.ones_like(ids)
    hidden = oracle.mpnet(model.blueprint.parameters.get, model.spec.config, ids, mask)
    expected = oracle.normalize(oracle.pool(hidden, mask, "mean"))
    (optimized,) = model.sessions["ort_cpu"].run(None, {"input_ids": ids})
    assert np.abs(optimized - expected).max() < 1e-6


def test_a_padding_token_in_a_text_does_not_count(author, equal):
    """A text may spell out <pad>: the original gives it position 1 and does not count it."""
    model = author(TinyModel(family="mpnet"))
    ids = equal.copy()
    ids[:, 3] = 1
    mask = np.ones_like(ids)
    hidden = oracle.mpnet(model.blueprint.parameters.get, model.spec.config, ids, mask)
    (optimized,) = model.sessions["ort_cpu"].run(None, {"input_ids": ids})
    assert np.abs(optimized - oracle.normalize(oracle.pool(hidden, mask, "mean"))).max() < 1e-6


def test_every_attention_block_is_fused(author):
    operators = author(TinyModel(family="mpnet", layers=3)).graphs["ort_cpu"].operators
    assert operators["MultiHeadAttention"] == 3
    assert operators["LayerNormalization"] == 2 * 3 + 1


def test_inputs_have_no_token_types(author):
    model = author(TinyModel(family="mpnet"))
    assert model.graphs["portable"].inputs == ("input_ids", "attention_mask")


def test_buckets_by_hand():
    distances = np.array([0, -1, -7, -8, -11, -12, -127, -128, -500, 1, 8, 127])
    assert relative_buckets(distances).tolist() == [0, 1, 7, 8, 8, 9, 15, 15, 15, 17, 24, 31]


@pytest.mark.parametrize("rows", [1, 31])
def test_a_table_with_too_few_buckets_is_refused(rows):
    with pytest.raises(CheckpointError, match=f"relative_attention_num_buckets is {rows}"):
        read_mpnet({"relative_attention_num_buckets": rows})
    assert read_mpnet({"relative_attention_num_buckets": 32}).score_bias.rows == 32


@pytest.mark.reference
def test_buckets_are_those_of_transformers():
    torch = pytest.importorskip("torch")
    modeling = pytest.importorskip("transformers.models.mpnet.modeling_mpnet")
    distances = np.arange(-511, 512)
    expected = modeling.MPNetEncoder.relative_position_bucket(torch.from_numpy(distances))
    assert relative_buckets(distances).tolist() == expected.tolist()
