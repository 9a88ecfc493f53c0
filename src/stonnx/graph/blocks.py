"""The parts of a transformer encoder that every dialect writes: what they are made of.

Names are those of the tensors in the checkpoint, in the architecture's own spelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from onnx import TensorProto

from stonnx.graph.builder import GraphBuilder
from stonnx.graph.parameters import Parameters

__all__ = [
    "ACTIVATION_LOWER_BOUNDS",
    "Activation",
    "AttentionBlock",
    "EmbeddingBlock",
    "GraphInputs",
    "Linear",
    "Norm",
    "Projection",
    "matrix",
    "multiply",
    "ranked_positions",
    "vector",
]

Activation = Literal["gelu", "gelu_tanh", "relu"]
ACTIVATION_LOWER_BOUNDS: dict[Activation, float] = {"gelu": -0.1701, "gelu_tanh": -0.1701, "relu": 0.0}
"""No result of the activation is below: the minima are -0.16997 (exact GELU), -0.17004 (tanh form, which may
stand in for the exact one) and 0."""


@dataclass(frozen=True)
class Linear:
    """``y = x Wᵀ + b`` with ``W`` of shape (out, in), as torch stores it."""

    weight: str
    bias: str


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Linear maps of one input, without their biases: the matrix products of a layer.

    Attributes:
        linears: The maps; a quantised dialect quantises their common input once.
        source: What the input is: a layer norm's result, an attention's context, or activated.
        lower_bound: No component of the input is below; None where nothing is known.
    """

    linears: tuple[Linear, ...]
    source: Literal["norm", "attention", "activation"]
    lower_bound: float | None = None


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over the last axis (Ba et al. 2016, arXiv:1607.06450)."""

    weight: str
    bias: str
    eps: float


@dataclass(frozen=True, kw_only=True)
class AttentionBlock:
    """Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762), without the output projection.

    Attributes:
        query: Map of the queries.
        key: Map of the keys.
        value: Map of the values.
        output: The map that follows; a dialect may move constants of the attention into its bias.
        heads: Number of heads.
        head_size: Width of a head.
        bias: A tensor of the graph that is added to the scaled scores, float32, shape
            (1, heads, tokens, tokens); None for none.
    """

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    heads: int
    head_size: int
    bias: str | None = None


@dataclass(frozen=True, kw_only=True)
class EmbeddingBlock:
    """Word, absolute position and token type tables, added and normalised.

    Attributes:
        word: Table of the words.
        position: Table of the positions.
        token_type: Table of the token types; None where the family has none.
        norm: Layer norm of the sum.
        padding_id: Where positions count real tokens only (RoBERTa's rule): the id that does not count. A token's
            position is then ``padding_id`` plus its rank, and padding has the position ``padding_id``.
            None where positions are 0, 1, 2…
    """

    word: str
    position: str
    token_type: str | None
    norm: Norm
    padding_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class GraphInputs:
    """Names of the graph's inputs; None for one that the dialect does not take.

    All are int64: ``input_ids``, ``attention_mask`` and ``token_type_ids`` have shape
    (rows, tokens), ``prompt_length`` is a scalar.
    """

    input_ids: str
    attention_mask: str | None
    token_type_ids: str | None
    prompt_length: str | None


def matrix(g: GraphBuilder, p: Parameters, name: str) -> str:
    """A weight of shape (out, in), laid out (in, out) as MatMul wants its right side."""
    return g.weight(f"{name}.T", lambda: np.ascontiguousarray(p.get(name).T))


def multiply(g: GraphBuilder, p: Parameters, x: str, block: Projection) -> tuple[str, ...]:
    """The products in float32, one MatMul per map: each of shape (..., out)."""
    return tuple(g.op("MatMul", [x, matrix(g, p, linear.weight)]) for linear in block.linears)


def vector(g: GraphBuilder, p: Parameters, name: str) -> str:
    """A weight in the layout of the checkpoint."""
    return g.weight(name, lambda: p.get(name))


def ranked_positions(g: GraphBuilder, input_ids: str, padding_id: int) -> str:
    """Positions that count real tokens only: int64, shape (rows, tokens); see ``EmbeddingBlock.padding_id``."""
    padding = g.constant(f"int/{padding_id}", np.array(padding_id, dtype=np.int64))
    real = g.op("Not", [g.op("Equal", [input_ids, padding])])
    real = g.op("Cast", [real], attributes={"to": TensorProto.INT64})
    axis = g.constant("int/1", np.array(1, dtype=np.int64))
    ranks = g.op("Mul", [g.op("CumSum", [real, axis]), real])
    return g.op("Add", [ranks, padding])
