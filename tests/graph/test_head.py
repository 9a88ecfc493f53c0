"""Dense, LayerNorm and Normalize in the graph against NumPy, and chains that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from stonnx.checkpoint import Weights
from stonnx.errors import CheckpointError
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling, chain_of
from stonnx.graph.modules.activations import ACTIVATIONS
from stonnx.testing import TinyModel
from tests.graph import oracle

MEAN = Pooling(modes=("mean",))


def dense(activation="Tanh", *, into=32, out=24, bias=True, residual=False):
    return Dense(
        path="",
        in_features=into,
        out_features=out,
        bias=bias,
        activation=activation,
        use_residual=residual,
    )


def pooled(model, ids):
    mask = np.ones_like(ids)
    hidden = oracle.bert(model.blueprint.parameters.get, model.spec.config, ids, mask)
    return oracle.pool(hidden, mask, "mean")


def check(model, ids, expected):
    (optimized,) = model.sessions["ort_cpu"].run(None, {"input_ids": ids})
    mask = np.ones_like(ids)
    _, portable = model.sessions["portable"].run(
        None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * mask}
    )
    for found in (optimized, portable):
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 5e-6


def test_the_oracle_knows_every_activation():
    assert set(oracle.ACTIVATIONS) == {*ACTIVATIONS, "GLU", "PReLU"}


@pytest.mark.parametrize("activation", sorted(oracle.ACTIVATIONS))
def test_dense(author, equal, activation):
    model = author(TinyModel(head=(MEAN, dense(activation))))
    weights = Weights.open(model.source, model.blueprint.chain.modules[1].path)
    y = pooled(model, equal) @ weights.get("linear.weight").T.astype(np.float64) + weights.get("linear.bias")
    expected = oracle.ACTIVATIONS[activation](y)
    if activation == "PReLU":
        expected = np.where(y >= 0, y, weights.get("activation_function.weight") * y)
    check(model, equal, expected)


@pytest.mark.parametrize("out", [32, 16])
def test_dense_with_residual_and_no_bias(author, equal, out):
    model = author(TinyModel(head=(MEAN, dense(out=out, bias=False, residual=True))))
    weights = Weights.open(model.source, model.blueprint.chain.modules[1].path)
    x = pooled(model, equal)
    residual = x if out == 32 else x @ weights.get("residual.weight").T
    check(model, equal, np.tanh(x @ weights.get("linear.weight").T) + residual)


def test_layer_norm_and_normalize(author, equal):
    model = author(TinyModel(head=(MEAN, LayerNorm(path="", dimension=32), Normalize())))
    weights = Weights.open(model.source, model.blueprint.chain.modules[1].path)
    x = oracle.layer_norm(pooled(model, equal), weights.get("norm.weight"), weights.get("norm.bias"), 1e-5)
    check(model, equal, oracle.normalize(x))


def test_two_dense_modules_do_not_share_weights(author, equal):
    model = author(TinyModel(head=(MEAN, dense("Identity"), dense("Tanh", into=24, out=12))))
    x = pooled(model, equal)
    for module, activation in zip(model.blueprint.chain.modules[1:], (lambda v: v, np.tanh), strict=True):
        weights = Weights.open(model.source, module.path)
        x = activation(x @ weights.get("linear.weight").T + weights.get("linear.bias"))
    check(model, equal, x)


def widths(*modules):
    return chain_of(modules, kind="embedding", width=32).outputs[0].dimension


def test_widths_must_fit():
    with pytest.raises(CheckpointError, match="expects vectors of length 16, and the module before it gives 32"):
        widths(MEAN, dense(into=16))
    with pytest.raises(CheckpointError, match="LayerNorm module expects vectors of length 8"):
        widths(MEAN, LayerNorm(path="", dimension=8))


def test_width_of_concatenated_modes_and_glu():
    assert widths(Pooling(modes=("mean", "max"))) == 64
    assert widths(MEAN, dense("GLU", out=24)) == 12
