"""The authored encoder computes what BERT is, in both dialects."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from stonnx.graph.modules import Normalize, Pooling
from stonnx.testing import TinyModel
from tests.graph import oracle

TOLERANCE = 3e-6  # hidden states are of order 1, computed in float32 by the graph and float64 by the oracle


def feeds(ids, mask):
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


@pytest.mark.parametrize("hidden_act", ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu"])
def test_hidden_state_is_berts(author, padded, hidden_act):
    model = author(TinyModel(hidden_act=hidden_act))
    ids, mask = padded
    hidden, _ = model.sessions["portable"].run(None, feeds(ids, mask))
    expected = oracle.bert(model.blueprint.parameters.get, model.spec.config, ids, mask)
    assert np.abs(hidden - expected)[mask == 1].max() < TOLERANCE


@pytest.mark.parametrize("hidden_act", ["gelu", "gelu_new", "relu"])
def test_dialects_agree_with_the_oracle(author, equal, hidden_act):
    model = author(TinyModel(hidden_act=hidden_act))
    mask = np.ones_like(equal)
    hidden = oracle.bert(model.blueprint.parameters.get, model.spec.config, equal, mask)
    expected = oracle.normalize(oracle.pool(hidden, mask, "mean"))
    _, portable = model.sessions["portable"].run(None, feeds(equal, mask))
    (optimized,) = model.sessions["ort_cpu"].run(None, {"input_ids": equal})
    assert np.abs(portable - expected).max() < 1e-6
    assert np.abs(optimized - expected).max() < 1e-6


@pytest.mark.parametrize("prefix", ["", "bert.", "0.auto_model."])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_prefixes_and_narrow_weights(author, equal, prefix, dtype):
    model = author(TinyModel(tensor_prefix=prefix, dtype=dtype))
    mask = np.ones_like(equal)
    hidden = oracle.bert(model.blueprint.parameters.get, model.spec.config, equal, mask)
    (optimized,) = model.sessions["ort_cpu"].run(None, {"input_ids": equal})
    assert np.abs(optimized - oracle.normalize(oracle.pool(hidden, mask, "mean"))).max() < 1e-6


def test_padding_changes_nothing(author, padded):
    model = author(TinyModel())
    ids, mask = padded
    _, together = model.sessions["portable"].run(None, feeds(ids, mask))
    for row, length in enumerate(mask.sum(1)):
        (alone,) = model.sessions["ort_cpu"].run(None, {"input_ids": ids[row : row + 1, :length]})
        assert np.abs(together[row] - alone[0]).max() < 1e-6


def test_every_attention_block_is_fused(author):
    model = author(TinyModel(layers=3))
    operators = model.graphs["ort_cpu"].operators
    assert operators["MultiHeadAttention"] == 3
    assert operators["LayerNormalization"] == 2 * 3 + 1
    assert operators["BiasGelu"] == 3
    assert not {"SkipLayerNormalization", "Softmax", "Erf"} & operators.keys()


def test_portable_graph_has_standard_operators_only(author):
    model = author(TinyModel(head=(Pooling(modes=("max", "lasttoken"), include_prompt=False), Normalize())))
    graph = onnx.load(model.folder / "portable.onnx", load_external_data=False)
    assert {node.domain for node in graph.graph.node} == {""}
    onnx.checker.check_model(str(model.folder / "portable.onnx"), full_check=True)
    assert [output.name for output in graph.graph.output] == ["last_hidden_state", "sentence_embedding"]


def test_both_graphs_share_one_weight_file(author):
    model = author(TinyModel())
    locations = set()
    for name in ("portable", "ort_cpu"):
        graph = onnx.load(model.folder / f"{name}.onnx", load_external_data=False).graph
        for tensor in graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                entries = {entry.key: entry.value for entry in tensor.external_data}
                locations.add(entries["location"])
                assert int(entries["offset"]) % 4096 == 0
    assert locations == {"model.onnx_data"}


def test_token_types_reach_the_portable_graph(author, equal):
    model = author(TinyModel())
    mask = np.ones_like(equal)
    _, zeros = model.sessions["portable"].run(None, feeds(equal, mask))
    _, ones = model.sessions["portable"].run(None, feeds(equal, mask) | {"token_type_ids": mask})
    assert np.abs(zeros - ones).max() > 1e-3
