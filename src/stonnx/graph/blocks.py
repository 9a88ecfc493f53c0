"""The parts of a transformer encoder that every dialect writes: what they are made of.

Names are those of the tensors in the checkpoint, in the architecture's own spelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stonnx.graph.builder import GraphBuilder
from stonnx.graph.parameters import Parameters

__all__ = ["Activation", "AttentionBlock", "EmbeddingBlock", "GraphInputs", "Linear", "Norm", "matrix", "vector"]

Activation = Literal["gelu", "gelu_tanh", "relu"]


@dataclass(frozen=True)
class Linear:
    """``y = x Wᵀ + b`` with ``W`` of shape (out, in), as torch stores it."""

    weight: str
    bias: str


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over the last axis (Ba et al. 2016, arXiv:1607.06450)."""

    weight: str
    bias: str
    eps: float


@dataclass(frozen=True, kw_only=True)
class AttentionBlock:
    """Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762), without the output projection."""

    query: Linear
    key: Linear
    value: Linear
    heads: int
    head_size: int


@dataclass(frozen=True, kw_only=True)
class EmbeddingBlock:
    """Word, absolute position and token type tables, added and normalised."""

    word: str
    position: str
    token_type: str
    norm: Norm


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


def vector(g: GraphBuilder, p: Parameters, name: str) -> str:
    """A weight in the layout of the checkpoint."""
    return g.weight(name, lambda: p.get(name))
