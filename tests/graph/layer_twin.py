"""A layer in NumPy, float64, option by option, and the same layer as a graph of its own.

Written from the papers' formulas with loops over heads and pairs of tokens, so that it shares nothing with the graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx

from stonnx.graph.blocks import (
    FULL_ATTENTION,
    AttentionBlock,
    FeedForwardBlock,
    GraphInputs,
    Layer,
    Linear,
    Norm,
    Projection,
)
from stonnx.graph.builder import GraphBuilder, WeightFile
from stonnx.graph.layers import author_layers
from stonnx.graph.parameters import Parameters
from stonnx.graph.quantized import FixedRange, QuantizedProjection, ScalePerToken
from tests.graph import oracle
from tests.graph.integers import open_session, quantized_matrix

WIDTH, HEADS, SIZE, INNER, EPS = 24, 4, 8, 40, 1e-5
ACTIVATIONS = {
    "gelu": oracle.gelu,
    "gelu_tanh": oracle.gelu_tanh,
    "relu": oracle.relu,
    "silu": lambda x: x * oracle.sigmoid(x),
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """A layer and its tensors."""

    layer: Layer
    tensors: dict[str, np.ndarray] = field(repr=False)

    def with_attention(self, **changes: Any) -> Made:
        return replace(self, layer=replace(self.layer, attention=replace(self.layer.attention, **changes)))


def make_layer(
    *,
    biases=True,
    key_value_heads=HEADS,
    gated=False,
    activation="gelu",
    norm="layer",
    norm_bias=True,
    placement="post",
    head_norms=False,
    **attention,
) -> Made:
    """A layer with random tensors; ``attention`` goes into its attention block."""
    rng, tensors = np.random.default_rng(11), {}

    def linear(name, out, into):
        tensors[f"{name}.weight"] = (rng.standard_normal((out, into)) * 1.5 / math.sqrt(into)).astype(np.float32)
        tensors[f"{name}.bias"] = (0.3 * rng.standard_normal(out)).astype(np.float32)
        return Linear(f"{name}.weight", f"{name}.bias" if biases else None)

    def norm_of(name, width):
        tensors[f"{name}.weight"] = (1 + 0.3 * rng.standard_normal(width)).astype(np.float32)
        tensors[f"{name}.bias"] = (0.3 * rng.standard_normal(width)).astype(np.float32)
        return Norm(weight=f"{name}.weight", bias=f"{name}.bias" if norm_bias else None, eps=EPS, kind=norm)

    narrow = key_value_heads * SIZE
    maps = (linear("q", HEADS * SIZE, WIDTH), linear("k", narrow, WIDTH), linear("v", narrow, WIDTH))
    inner = (linear("inner", INNER, WIDTH), *([linear("gate", INNER, WIDTH)] if gated else []))
    layer = Layer(
        attention=AttentionBlock(
            maps=Projection(site="a", linears=maps, source="norm"),
            output=Projection(site="a.output", linears=(linear("o", WIDTH, HEADS * SIZE),), source="attention"),
            heads=HEADS,
            key_value_heads=key_value_heads,
            head_size=SIZE,
            query_norm=norm_of("q_norm", SIZE) if head_norms else None,
            key_norm=norm_of("k_norm", SIZE) if head_norms else None,
            **attention,
        ),
        feed_forward=FeedForwardBlock(
            maps=Projection(site="f", linears=inner, source="norm"),
            output=Projection(site="f.output", linears=(linear("outer", WIDTH, INNER),), source="activation"),
            activation=activation,
        ),
        attention_norm=norm_of("n1", WIDTH),
        feed_forward_norm=norm_of("n2", WIDTH),
        placement=placement,
    )
    return Made(layer=layer, tensors=tensors)


def run_layer(folder, made: Made, dialect, x, mask):
    """The layer as a graph of its own, float32, shape (rows, tokens, width)."""
    parameters = Parameters(_Tensors(made.tensors), {name: name for name in made.tensors}, ())
    with WeightFile(folder / "layer.onnx_data") as weights:
        g = GraphBuilder("layer", weights)
        inputs: GraphInputs = dialect.declare_inputs(g, token_types=False, pairs=False, prompt_lengths=False)
        table = g.weight("table", lambda: np.ascontiguousarray(x.reshape(-1, WIDTH)))
        hidden = g.op("Gather", [table, inputs.input_ids])
        g.output(author_layers(g, parameters, dialect, inputs, hidden, [made.layer]), "y", ("rows", "tokens", WIDTH))
        model = g.model()
    onnx.save(model, folder / "layer.onnx")
    onnx.checker.check_model(str(folder / "layer.onnx"), full_check=True)
    ids = np.arange(x.shape[0] * x.shape[1]).reshape(x.shape[:2])
    feeds = {"input_ids": ids} if inputs.attention_mask is None else {"input_ids": ids, "attention_mask": mask}
    (found,) = open_session(folder / "layer.onnx").run(None, feeds)
    return found, {node.op_type for node in model.graph.node}


def round_layer(made: Made, *, fixed=True):
    """The layer's projections as integers, by plain rounding; after norms a fixed range, or a scale per token."""
    layer, plans = made.layer, {}
    for block in (layer.attention.maps, layer.attention.output, layer.feed_forward.maps, layer.feed_forward.output):
        matrices = [made.tensors[part.weight].T for part in block.linears]
        multipliers = np.linspace(0.5, 1, len(matrices[0]), dtype=np.float32)
        how = ScalePerToken(multipliers=multipliers, zero_point=120)
        if block.source == "norm" and fixed:
            how = FixedRange(multipliers=multipliers, scale=12 / 255, zero_point=128)
        matrices = tuple(quantized_matrix(matrix / multipliers[:, None], 127) for matrix in matrices)
        plans[block.site] = QuantizedProjection(input=how, matrices=matrices)
    return plans


def layer_twin(made: Made, x, mask):
    """The same in float64."""
    layer, t = made.layer, {name: value.astype(np.float64) for name, value in made.tensors.items()}
    x = x.astype(np.float64)
    for part, norm in ((_attend, layer.attention_norm), (_feed_forward, layer.feed_forward_norm)):
        if layer.placement == "pre":
            x = x + part(layer, t, _norm(t, norm, x), mask)
        else:
            x = _norm(t, norm, x + part(layer, t, x, mask))
    return x


def _attend(layer, t, x, mask):
    block: AttentionBlock = layer.attention
    query, key, value = (
        _linear(t, part, x).reshape(*x.shape[:2], -1, SIZE) for part in block.maps.linears
    )  # (rows, tokens, heads, size)
    query, key = _turned(t, block, block.query_norm, query), _turned(t, block, block.key_norm, key)
    scale = SIZE**-0.5 if block.scale is None else block.scale
    context = np.zeros_like(query)
    for row in range(len(x)):
        for head in range(HEADS):
            shared = head // (HEADS // block.key_value_heads)
            scores = query[row, :, head] @ key[row, :, shared].T * scale
            for i in range(len(scores)):
                allowed = [j for j in range(len(scores)) if mask[row, j] and _reaches(block.pattern, i, j)]
                if allowed:
                    weights = oracle.softmax(scores[i, allowed])
                    context[row, i, head] = weights @ value[row, allowed, shared]
    (output,) = block.output.linears
    return _linear(t, output, context.reshape(*x.shape[:2], -1))


def _reaches(pattern, query, key):
    if pattern is FULL_ATTENTION:
        return True
    before, after = pattern.before, pattern.after
    return (before is None or query - key <= before) and (after is None or key - query <= after)


def _turned(t, block, norm, x):
    if norm is not None:
        x = _norm(t, norm, x)
    if block.rotary is None:
        return x
    result, half = x.copy(), len(block.rotary.frequencies)
    for token in range(x.shape[1]):
        for i, frequency in enumerate(block.rotary.frequencies):
            cosine = math.cos(token * frequency) * block.rotary.scale
            sine = math.sin(token * frequency) * block.rotary.scale
            first, second = x[:, token, :, i], x[:, token, :, i + half]
            result[:, token, :, i] = first * cosine - second * sine
            result[:, token, :, i + half] = first * sine + second * cosine
    return result


def _feed_forward(layer, t, x, mask):
    block = layer.feed_forward
    first, *gate = block.maps.linears
    y = ACTIVATIONS[block.activation](_linear(t, first, x))
    for factor in gate:
        y = y * _linear(t, factor, x)
    return _linear(t, block.output.linears[0], y)


def _linear(t, part, x):
    y = x @ t[part.weight].T
    return y if part.bias is None else y + t[part.bias]


def _norm(t, norm, x):
    if norm.kind == "rms":
        y = x / np.sqrt((x**2).mean(-1, keepdims=True) + norm.eps) * t[norm.weight]
    else:
        y = oracle.layer_norm(x, t[norm.weight], 0.0, norm.eps)
    return y if norm.bias is None else y + t[norm.bias]


class _Tensors:
    def __init__(self, tensors):
        self._tensors = tensors

    def get(self, name):
        return self._tensors[name]
