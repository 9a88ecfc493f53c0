"""Small pieces of a graph that several dialects write alike."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from onnx import TensorProto

from stonnx.graph.blocks import Activation, AttentionPattern, Linear, Norm, Rotary
from stonnx.graph.builder import ElementType, GraphBuilder
from stonnx.graph.parameters import Parameters

__all__ = [
    "activate",
    "add_bias",
    "integer",
    "linear",
    "matrix",
    "multiply",
    "normalize",
    "outside_pattern",
    "pair_distances",
    "ranked_positions",
    "rotate",
    "rotation",
    "stored_vector",
    "vector",
]

_HALVES: Mapping[str, ElementType] = {"float16": "float16", "bfloat16": "bfloat16"}


def matrix(g: GraphBuilder, p: Parameters, name: str) -> str:
    """A weight of shape (out, in), laid out (in, out) as MatMul wants its right side."""
    return g.weight(f"{name}.T", lambda: np.ascontiguousarray(p.get(name).T))


def vector(g: GraphBuilder, p: Parameters, name: str) -> str:
    """A weight in the layout of the checkpoint."""
    return g.weight(name, lambda: p.get(name))


def stored_vector(g: GraphBuilder, p: Parameters, name: str) -> str:
    """A weight in the layout and the type of the checkpoint: halves as they are; float64 as float32.

    Twice as many numbers fit into a page of memory, and ``Cast`` makes float32 of those that are used.
    """
    half = _HALVES.get(p.dtype(name))
    return vector(g, p, name) if half is None else g.weight(name, lambda: p.stored(name).values, element=half)


def integer(g: GraphBuilder, value: int) -> str:
    """A constant int64 scalar."""
    return g.constant(f"int/{value}", np.array(value, dtype=np.int64))


def multiply(g: GraphBuilder, p: Parameters, x: str, linears: Sequence[Linear]) -> tuple[str, ...]:
    """The products in float32 without biases, one MatMul per map: each of shape (..., out)."""
    return tuple(g.op("MatMul", [x, matrix(g, p, part.weight)]) for part in linears)


def add_bias(g: GraphBuilder, p: Parameters, x: str, bias: str | None) -> str:
    """``x`` plus a bias of the checkpoint; ``x`` itself where there is none."""
    return x if bias is None else g.op("Add", [x, vector(g, p, bias)])


def linear(g: GraphBuilder, p: Parameters, x: str, part: Linear) -> str:
    """``x Wᵀ + b`` in float32, shape (..., out)."""
    (product,) = multiply(g, p, x, (part,))
    return add_bias(g, p, product, part.bias)


def activate(g: GraphBuilder, x: str, activation: Activation) -> str:
    """Exact GELU through Erf, its tanh form (Hendrycks & Gimpel 2016, arXiv:1606.08415), ReLU or SiLU."""
    if activation == "relu":
        return g.op("Relu", [x])
    if activation == "silu":
        return g.op("Mul", [x, g.op("Sigmoid", [x])])
    if activation == "gelu":
        curve = g.op("Erf", [g.op("Mul", [x, g.scalar(1.0 / math.sqrt(2.0))])])
    else:
        cube = g.op("Mul", [g.op("Mul", [x, x]), x])
        inner = g.op("Add", [x, g.op("Mul", [cube, g.scalar(0.044715)])])
        curve = g.op("Tanh", [g.op("Mul", [inner, g.scalar(math.sqrt(2.0 / math.pi))])])
    half = g.op("Mul", [x, g.scalar(0.5)])
    return g.op("Mul", [half, g.op("Add", [curve, g.scalar(1.0)])])


def normalize(g: GraphBuilder, p: Parameters, x: str, norm: Norm) -> str:
    """A norm over the last axis, by standard operators."""
    if norm.kind == "layer":
        inputs = [x, vector(g, p, norm.weight), *([] if norm.bias is None else [vector(g, p, norm.bias)])]
        return g.op("LayerNormalization", inputs, attributes={"axis": -1, "epsilon": norm.eps})
    squares = g.op("ReduceMean", [g.op("Mul", [x, x])], attributes={"axes": (-1,), "keepdims": 1})
    root = g.op("Sqrt", [g.op("Add", [squares, g.scalar(norm.eps)])])
    y = g.op("Mul", [g.op("Div", [x, root]), vector(g, p, norm.weight)])
    return add_bias(g, p, y, norm.bias)


def ranked_positions(g: GraphBuilder, input_ids: str, padding_id: int) -> str:
    """Positions that count real tokens only: int64, shape (rows, tokens); see ``EmbeddingBlock.padding_id``."""
    padding = integer(g, padding_id)
    real = g.op("Not", [g.op("Equal", [input_ids, padding])])
    real = g.op("Cast", [real], attributes={"to": TensorProto.INT64})
    ranks = g.op("Mul", [g.op("CumSum", [real, integer(g, 1)]), real])
    return g.op("Add", [ranks, padding])


def token_range(g: GraphBuilder, input_ids: str) -> str:
    """0, 1, 2… for the tokens of a row: int64, shape (tokens,)."""
    length = g.op("Squeeze", [g.op("Shape", [input_ids], attributes={"start": 1, "end": 2}), g.ints(0)])
    return g.op("Range", [integer(g, 0), length, integer(g, 1)])


def pair_distances(g: GraphBuilder, input_ids: str) -> str:
    """Key position minus query position of all pairs: int64, shape (tokens, tokens), one row per query."""
    positions = token_range(g, input_ids)
    return g.op("Sub", [g.op("Unsqueeze", [positions, g.ints(0)]), g.op("Unsqueeze", [positions, g.ints(1)])])


def outside_pattern(g: GraphBuilder, bias: str, distances: str, pattern: AttentionPattern) -> str:
    """``bias`` where the pattern allows a pair, and the lowest float elsewhere.

    A choice and not a sum: two lowest floats come to minus infinity, and a row of them to NaN.

    Args:
        g: The graph.
        bias: Bias of the keys, float32, broadcasts to (rows, 1, tokens, tokens).
        distances: From ``pair_distances``.
        pattern: Which pairs are allowed.
    """
    lowest = g.scalar(float(np.finfo(np.float32).min))
    if pattern.after is not None:
        bias = g.op("Where", [g.op("GreaterOrEqual", [integer(g, pattern.after), distances]), bias, lowest])
    if pattern.before is not None:
        bias = g.op("Where", [g.op("GreaterOrEqual", [distances, integer(g, -pattern.before)]), bias, lowest])
    return bias


def rotation(g: GraphBuilder, input_ids: str, rotary: Rotary) -> tuple[str, str]:
    """Cosine and sine of every position and pair of components: float32, shape (tokens, pairs).

    Angles are float32 products, as in transformers.
    """
    frequencies = np.array(rotary.frequencies, dtype=np.float32)
    table = g.constant(f"rotary/{zlib.crc32(frequencies.tobytes()):08x}", frequencies)
    positions = g.op("Cast", [token_range(g, input_ids)], attributes={"to": TensorProto.FLOAT})
    angles = g.op("Mul", [g.op("Unsqueeze", [positions, g.ints(1)]), table])
    turns = [g.op(name, [angles]) for name in ("Cos", "Sin")]
    if rotary.scale != 1.0:
        turns = [g.op("Mul", [turn, g.scalar(rotary.scale)]) for turn in turns]
    return turns[0], turns[1]


def rotate(g: GraphBuilder, x: str, turns: tuple[str, str], rotary: Rotary, head_size: int) -> str:
    """Rotate heads by their positions.

    Args:
        g: The graph.
        x: Queries or keys, float32, shape (..., tokens, head_size).
        turns: From ``rotation``.
        rotary: The same rotation.
        head_size: Width of a head.
    """
    half = len(rotary.frequencies)
    sizes = [half, half] + [head_size - 2 * half] * (head_size > 2 * half)
    first, second, *rest = g.op_outputs("Split", [x, g.ints(*sizes)], count=len(sizes), attributes={"axis": -1})
    cosine, sine = turns
    left = g.op("Sub", [g.op("Mul", [first, cosine]), g.op("Mul", [second, sine])])
    right = g.op("Add", [g.op("Mul", [second, cosine]), g.op("Mul", [first, sine])])
    return g.op("Concat", [left, right, *rest], attributes={"axis": -1})
