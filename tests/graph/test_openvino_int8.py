"""The int8 graph for OpenVINO: standard operators, and the numbers of dequantised weights."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from stonnx.graph.dialects import OpenVinoInt8
from stonnx.graph.quantized import FixedRange, QuantizedProjection, ScalePerToken
from stonnx.testing import TinyModel
from tests.graph import oracle
from tests.graph.integers import (
    bert_sites,
    dequantized,
    float_range,
    integer_input,
    integer_product,
    open_session,
    quantize_model,
    quantized_matrix,
    run_projection,
    write_model,
)

WIDTH = 40
MULTIPLIERS = np.random.default_rng(3).uniform(0.3, 1.0, WIDTH).astype(np.float32)
STATIC = pytest.mark.parametrize("static", [False, True])
OTHERS = [
    ScalePerToken(multipliers=MULTIPLIERS, zero_point=99),
    ScalePerToken(multipliers=None, zero_point=90, lower_bound=-9.0),
]


def feeds(ids, mask):
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def inputs():
    return np.random.default_rng(0).normal(size=(3, 5, WIDTH)).astype(np.float32)


def plan_of(how, outs=(16, 24)):
    rng = np.random.default_rng(1)
    matrices = (quantized_matrix(rng.normal(size=(WIDTH, out)).astype(np.float32), 127) for out in outs)
    return QuantizedProjection(input=how, matrices=tuple(matrices))


def run(folder, plan, x, *, static):
    return run_projection(folder, OpenVinoInt8({"w0": plan}, static=static), plan, x, optimize=False)


def dequantising(model, plans):
    """The tensors of the model, with the quantised maps as what they come to; torch's layout."""
    weights = {}
    for layer in range(model.spec.config["num_hidden_layers"]):
        for site, names in bert_sites(layer).items():
            for number, name in enumerate(names if site in plans else ()):
                weights[name] = dequantized(plans[site], number).T
    return lambda name: weights[name] if name in weights else model.blueprint.parameters.get(name)


@STATIC
@pytest.mark.parametrize("kinds", [("fixed", "scale", "fixed", "bound"), ("scale", None, "fixed", None)])
def test_the_graph_has_standard_operators_only(author, kinds, static):
    model = author(TinyModel())
    plans = quantize_model(model, kinds)
    graph, path = write_model(model, OpenVinoInt8(plans, static=static))
    onnx.checker.check_model(str(path), full_check=True)
    assert {node.domain for node in graph.model.graph.node} == {""}
    assert [entry.domain for entry in graph.model.opset_import] == [""]
    assert graph.inputs == ("input_ids", "attention_mask", "token_type_ids")
    assert graph.layout == "padded"


@pytest.mark.parametrize("hidden_act", ["gelu", "relu"])
def test_a_model_computes_with_the_dequantised_weights(author, padded, hidden_act):
    model = author(TinyModel(hidden_act=hidden_act))
    plans = quantize_model(model, limit=127)
    _, path = write_model(model, OpenVinoInt8(plans, static=False))
    ids, mask = padded
    hidden, vectors = open_session(path, optimize=False).run(None, feeds(ids, mask))
    expected = oracle.bert(dequantising(model, plans), model.spec.config, ids, mask)
    assert np.abs(hidden - expected)[mask == 1].max() < 5e-6
    assert np.abs(vectors - oracle.normalize(oracle.pool(expected, mask, "mean"))).max() < 1e-6
    plain = oracle.bert(model.blueprint.parameters.get, model.spec.config, ids, mask)
    assert np.abs(hidden - plain)[mask == 1].max() > 1e-3  # the weights are not the original ones


@pytest.mark.parametrize("how", [float_range(inputs(), MULTIPLIERS), float_range(inputs()), *OTHERS])
def test_products_are_those_of_the_dequantised_weights(tmp_path, how):
    plan = plan_of(how)
    found, operators = run(tmp_path, plan, inputs(), static=False)
    for number, y in enumerate(found):
        np.testing.assert_allclose(y, inputs() @ dequantized(plan, number), rtol=1e-4, atol=2e-5)
    assert operators.count("DequantizeLinear") == operators.count("MatMul") == 2
    assert "QuantizeLinear" not in operators


@STATIC
def test_components_that_come_again_are_multiplied_with_rows_of_their_own(tmp_path, static):
    weights = np.random.default_rng(5).normal(size=(WIDTH + 3, 16)).astype(np.float32)
    how, copies = float_range(inputs(), MULTIPLIERS), np.array([4, 4, 30])
    plan = QuantizedProjection(input=how, matrices=(quantized_matrix(weights, 127),), copies=copies)
    (found,), _ = run(tmp_path, plan, inputs(), static=static)
    expected = integer_product(inputs(), plan) if static else inputs() @ dequantized(plan)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("multipliers", [None, MULTIPLIERS])
def test_static_rounds_an_input_with_a_fixed_range(tmp_path, multipliers):
    x = inputs()
    plan = plan_of(float_range(x, multipliers))
    found, operators = run(tmp_path, plan, x, static=True)
    integers, zero, scale = integer_input(x, plan.input)
    for y, matrix in zip(found, plan.matrices, strict=True):
        expected = (integers - zero) * np.float64(scale) @ (matrix.values * matrix.scales.astype(np.float64))
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=2e-5)
    assert operators.count("QuantizeLinear") == 1
    assert operators.count("DequantizeLinear") == 1 + 2  # the common input once, and two weights


@pytest.mark.parametrize("how", OTHERS)
def test_static_leaves_other_inputs_alone(tmp_path, how):
    plan = plan_of(how)
    found, operators = run(tmp_path, plan, inputs(), static=True)
    assert "QuantizeLinear" not in operators
    np.testing.assert_allclose(found[0], inputs() @ dequantized(plan), rtol=1e-4, atol=2e-5)


@STATIC
def test_operators_by_kind_of_input(author, static):
    model = author(TinyModel())
    plans = quantize_model(model, ("fixed", "scale", None, "bound"))
    graph, _ = write_model(model, OpenVinoInt8(plans, static=static))
    weights = sum(len(plan.matrices) for plan in plans.values())
    fixed = sum(isinstance(plan.input, FixedRange) for plan in plans.values()) * static
    assert (weights, fixed) == (2 * 5, 2 * static)
    assert graph.operators.get("QuantizeLinear", 0) == fixed
    assert graph.operators["DequantizeLinear"] == weights + fixed
    stored = {tensor.name: tensor.data_type for tensor in graph.model.graph.initializer}
    for names in (names for site, names in bert_sites(0).items() if site in plans):
        assert stored[f"{names[0]}.int8"] == onnx.TensorProto.INT8
        assert f"{names[0]}.T" not in stored
    assert stored["encoder.layer.0.intermediate.dense.weight.T"] == onnx.TensorProto.FLOAT


def test_static_stays_close_to_dynamic(author, padded):
    model = author(TinyModel())
    plans, (ids, mask) = quantize_model(model, limit=127), padded
    vectors = []
    for static in (False, True):
        _, path = write_model(model, OpenVinoInt8(plans, static=static))
        vectors.append(open_session(path, optimize=False).run(["sentence_embedding"], feeds(ids, mask))[0])
        path.with_suffix(".onnx_data").unlink()
    assert 1e-5 < np.abs(vectors[0] - vectors[1]).max() < 0.05
