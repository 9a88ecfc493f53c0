"""Integer products in ONNX Runtime: the numbers of the same integers in NumPy, and no text for its neighbours."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from stonnx.graph.dialects import OrtCpuInt8
from stonnx.graph.folding import fold_attention
from stonnx.graph.quantized import FixedRange, QuantizedMatrix, QuantizedProjection, ScalePerToken
from stonnx.quantize.rounding import LARGEST, LARGEST_PAIR
from stonnx.testing import TinyModel
from tests.graph import oracle
from tests.graph.integers import (
    EPS,
    dequantized,
    float_range,
    integer_product,
    open_session,
    quantize_model,
    quantized_matrix,
    run_projection,
    write_model,
)

WIDTH = 48
MULTIPLIERS = np.random.default_rng(3).uniform(0.3, 1.0, WIDTH).astype(np.float32)
PER_TENSOR = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulInteger"}


def inputs(shape=(3, 5, WIDTH), low=-np.inf):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape) * np.exp(rng.normal(size=(*shape[:2], 1)))
    return np.maximum(x, low).astype(np.float32)


def matrices(outs, limit=64):
    rng = np.random.default_rng(1)
    return tuple(quantized_matrix(rng.normal(size=(WIDTH, out)).astype(np.float32), limit) for out in outs)


def int8(plan):
    return OrtCpuInt8({"w0": plan})


@pytest.mark.parametrize("multipliers", [None, MULTIPLIERS])
@pytest.mark.parametrize("zero_point", [None, 100, 160])  # None: a fixed range
def test_products_are_those_of_the_integers(tmp_path, zero_point, multipliers):
    x = inputs()
    how = float_range(x, multipliers)
    if zero_point is not None:
        how = ScalePerToken(multipliers=multipliers, zero_point=zero_point)
    plan = QuantizedProjection(input=how, matrices=matrices((16, 24, 32)))
    found, operators = run_projection(tmp_path, int8(plan), plan, x)
    assert operators.count("QuantizeLinear") == 1  # the common input, once
    for number, y in enumerate(found):
        expected = integer_product(x, plan, number)
        assert y.shape == expected.shape == (3, 5, (16, 24, 32)[number])
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
        # Integers that were off alike on both sides would pass the line above.
        exact = x.astype(np.float64) @ dequantized(plan, number)
        assert np.abs(y - exact).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize("multipliers", [None, MULTIPLIERS])
@pytest.mark.parametrize("bound", [-0.1701, 0.0])
def test_above_a_bound_only_the_highest_of_a_token_counts(tmp_path, bound, multipliers):
    x, bias = inputs(low=bound), np.random.default_rng(4).normal(size=16).astype(np.float32)
    how = ScalePerToken(multipliers=multipliers, zero_point=24 if bound else 0, lower_bound=bound)
    plan = QuantizedProjection(input=how, matrices=matrices((16,)))
    (found,), _ = run_projection(tmp_path, int8(plan), plan, x, bias=bias)
    expected = oracle.layer_norm(integer_product(x, plan) + bias, 1.0, 0.0, EPS)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    exact = oracle.layer_norm(x.astype(np.float64) @ dequantized(plan) + bias, 1.0, 0.0, EPS)
    assert np.abs(found - exact).max() < 0.1


@pytest.mark.parametrize("kind", ["fixed", "scale", "bound"])
def test_copies_are_multiplied_with_rows_of_their_own(tmp_path, kind):
    x, bias = inputs(low=-0.1701 if kind == "bound" else -np.inf), np.zeros(16, np.float32)
    how = {
        "fixed": float_range(x, MULTIPLIERS),
        "scale": ScalePerToken(multipliers=MULTIPLIERS, zero_point=120),
        "bound": ScalePerToken(multipliers=MULTIPLIERS, zero_point=24, lower_bound=-0.1701),
    }[kind]
    weights = np.random.default_rng(5).normal(size=(WIDTH + 3, 16)).astype(np.float32)
    plan = QuantizedProjection(input=how, matrices=(quantized_matrix(weights),), copies=np.array([4, 4, 40]))
    (found,), operators = run_projection(tmp_path, int8(plan), plan, x, bias=bias)
    expected = oracle.layer_norm(integer_product(x, plan), 1.0, 0.0, EPS)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert operators.index("QuantizeLinear") < operators.index("Gather", operators.index("QuantizeLinear"))
    weights[4] += weights[WIDTH] + weights[WIDTH + 1]
    weights[40] += weights[WIDTH + 2]
    exact = oracle.layer_norm(x.astype(np.float64) * MULTIPLIERS @ weights[:WIDTH], 1.0, 0.0, EPS)
    assert np.abs(found - exact).mean() < 0.1  # small tokens are coarse in a fixed range


@pytest.mark.parametrize("tokens", [1, 2, 7, 64])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_pairs_are_exact_on_every_cpu(tmp_path, tokens, sign):
    """Where a processor adds two products in an int16, the largest inputs and pairs of weights just fit."""
    firsts = np.arange(1, LARGEST + 1)  # one column for each way to share a pair
    values = np.empty((WIDTH, len(firsts)), np.int8)
    values[0::2], values[1::2] = sign * firsts, sign * (LARGEST_PAIR - firsts)
    matrix = QuantizedMatrix(values=values, scales=np.ones(len(firsts), np.float32))
    plan = QuantizedProjection(input=FixedRange(multipliers=None, scale=1.0, zero_point=0), matrices=(matrix,))
    (found,), _ = run_projection(tmp_path, int8(plan), plan, np.full((1, tokens, WIDTH), 255, np.float32))
    np.testing.assert_array_equal(found, sign * 255.0 * LARGEST_PAIR * WIDTH / 2)


@pytest.mark.parametrize("kind", ["scale", "bound"])
def test_a_token_of_zeros_is_no_division_by_zero(tmp_path, kind):
    x = inputs(low=0.0)
    x[1, 2] = 0
    if kind == "scale":
        how = ScalePerToken(multipliers=None, zero_point=100)
    else:
        how = ScalePerToken(multipliers=None, zero_point=0, lower_bound=0.0)
    plan = QuantizedProjection(input=how, matrices=matrices((16,)))
    (found,), _ = run_projection(tmp_path, int8(plan), plan, x)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[1, 2], 0)


@pytest.mark.parametrize("hidden_act", ["gelu", "relu"])
def test_a_text_does_not_depend_on_its_neighbours(author, equal, hidden_act):
    model = author(TinyModel(hidden_act=hidden_act))
    _, path = write_model(model, OrtCpuInt8(quantize_model(model)))
    session = open_session(path)
    (together,) = session.run(None, {"input_ids": equal})
    for row, ids in enumerate(equal):
        (alone,) = session.run(None, {"input_ids": ids[None]})
        assert np.abs(alone[0] - together[row]).max() <= 1e-4


def test_a_model_is_close_to_its_float32_graph(author, equal):
    model = author(TinyModel())
    graph, path = write_model(model, OrtCpuInt8(quantize_model(model)))
    (found,) = open_session(path).run(None, {"input_ids": equal})
    (expected,) = model.sessions["ort_cpu"].run(None, {"input_ids": equal})
    assert (found * expected).sum(axis=1).min() > 0.998  # both normalised
    assert np.abs(found - expected).max() > 1e-5
    assert graph.operators["MatMulIntegerToFloat"] == 2 * 6
    assert "MatMul" not in graph.operators


@pytest.mark.parametrize("kinds", [("fixed",) * 3, ("scale",) * 3])
def test_no_scale_is_that_of_a_whole_batch(author, kinds, tmp_path):
    model = author(TinyModel())
    graph, path = write_model(model, OrtCpuInt8(quantize_model(model, (*kinds, "bound"))))
    assert not PER_TENSOR & graph.operators.keys()
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path, options)  # nor does ONNX Runtime make one of it
    optimised = onnx.load(tmp_path / "optimised.onnx", load_external_data=False)
    assert not PER_TENSOR & {node.op_type for node in optimised.graph.node}


@pytest.mark.parametrize("absent", range(4))
def test_what_is_absent_stays_in_float32(author, equal, absent):
    model = author(TinyModel())
    kinds = [None if number == absent else kind for number, kind in enumerate(("fixed", "scale", "fixed", "bound"))]
    graph, path = write_model(model, OrtCpuInt8(quantize_model(model, kinds)))
    maps = (3, 1, 1, 1)[absent]
    assert graph.operators["MatMul"] == 2 * maps
    assert graph.operators["MatMulIntegerToFloat"] == 2 * (6 - maps)
    (found,) = open_session(path).run(None, {"input_ids": equal})
    (expected,) = model.sessions["ort_cpu"].run(None, {"input_ids": equal})
    assert (found * expected).sum(axis=1).min() > 0.998


class Unfolded(OrtCpuInt8):
    """Balances the input of an attention's output map by an operator of its own."""

    name = "unfolded"

    def _fold(self, block):
        return fold_attention(block, {})


@pytest.mark.parametrize("kind", ["fixed", "scale"])
def test_the_values_take_in_what_balances_the_context(author, equal, kind):
    model = author(TinyModel())
    plans = quantize_model(model, ("fixed", kind, "fixed", "bound"))
    graphs = [write_model(model, make(plans)) for make in (OrtCpuInt8, Unfolded)]
    folded, apart = (graph.operators for graph, _ in graphs)
    assert folded["Mul"] == apart["Mul"] - 2  # one a layer
    found, expected = (open_session(path).run(None, {"input_ids": equal})[0] for _, path in graphs)
    assert (found * expected).sum(axis=1).min() > 0.9999  # single integers may round the other way


@pytest.mark.parametrize("first", [None, "fixed"])
def test_an_output_map_balances_its_input_only_where_the_values_are_in_float32(author, first):
    model = author(TinyModel())
    plans = quantize_model(model, (first, "fixed", None, None))
    operators = write_model(model, OrtCpuInt8(plans))[0].operators
    assert operators["Mul"] == 2  # the first projection's or the output map's, in two layers


@pytest.mark.parametrize(("kinds", "apart"), [(("fixed", "fixed"), 0), (("scale", "fixed"), 1), ((None, "scale"), 2)])
def test_a_product_in_a_fixed_range_adds_its_bias_itself(author, equal, kinds, apart):
    """That of the queries, and that of the output map behind the attention, with the values' bias in it."""
    model = author(TinyModel())
    plans = quantize_model(model, (*kinds, "fixed", "bound"))
    graph, path = write_model(model, OrtCpuInt8(plans))
    # Per layer: two residuals, the bias of the last map, and those that stand apart.
    assert graph.operators["Add"] == 1 + 2 * (3 + apart)
    (found,) = open_session(path).run(None, {"input_ids": equal})
    (expected,) = model.sessions["ort_cpu"].run(None, {"input_ids": equal})
    assert (found * expected).sum(axis=1).min() > 0.998


@pytest.mark.parametrize("kind", ["fixed", "scale"])
@pytest.mark.parametrize("hidden_act", ["gelu", "relu"])
def test_the_kernel_adds_the_bias_before_an_activation_in_a_fixed_range(author, equal, kind, hidden_act):
    model = author(TinyModel(hidden_act=hidden_act))
    plans = quantize_model(model, (None, None, kind, None))
    graph, path = write_model(model, OrtCpuInt8(plans))
    nodes = [node for node in graph.model.graph.node if node.op_type == "MatMulIntegerToFloat"]
    assert [len(node.input) for node in nodes] == [7 if kind == "fixed" else 5] * 2
    activations = [node for node in graph.model.graph.node if node.op_type == "FastGelu"]
    assert [len(node.input) for node in activations] == (
        [] if hidden_act == "relu" else [1 if kind == "fixed" else 2] * 2
    )
    (found,) = open_session(path, optimize=False).run(None, {"input_ids": equal})
    (expected,) = model.sessions["ort_cpu"].run(None, {"input_ids": equal})
    assert (found * expected).sum(axis=1).min() > 0.999


def test_what_depends_on_the_sizes_of_a_batch_alone_is_written_once(author, equal):
    model = author(TinyModel(layers=3))
    operators = write_model(model, OrtCpuInt8(quantize_model(model, ("scale", "scale", "scale", "bound"))))[0].operators
    assert operators["Expand"] == 2  # one a zero point
    assert operators["Concat"] == 1  # one a width
    # Attention: in, queries, keys, values, context and out of the output map. The feed-forward block: in and out.
    assert operators["Reshape"] == 3 * (6 + 2)
    assert operators["QuantizeLinear"] == 3 * 4


@pytest.mark.parametrize("kinds", [("scale", None), (None, "bound"), ("fixed", "bound"), ("fixed", None)])
def test_a_feed_forward_block_is_reshaped_only_for_scales_per_token(author, equal, kinds):
    model = author(TinyModel())
    graph, path = write_model(model, OrtCpuInt8(quantize_model(model, (None, None, *kinds))))
    assert graph.operators.get("Reshape", 0) == (0 if kinds == ("fixed", None) else 2 * 2)
    (found,) = open_session(path, optimize=False).run(None, {"input_ids": equal})
    (expected,) = model.sessions["ort_cpu"].run(None, {"input_ids": equal})
    assert (found * expected).sum(axis=1).min() > 0.998


def test_with_nothing_quantised_the_graph_is_the_float32_one(author, equal):
    model = author(TinyModel(hidden_act="relu"))  # GELU would be in its tanh form
    _, path = write_model(model, OrtCpuInt8({}))
    (found,) = open_session(path).run(None, {"input_ids": equal})
    np.testing.assert_array_equal(found, model.sessions["ort_cpu"].run(None, {"input_ids": equal})[0])
