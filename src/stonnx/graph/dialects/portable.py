"""Standard ONNX operators only: runs anywhere, takes padded batches with a mask, and writes every part of a model."""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto

from stonnx.artifact.manifest import Layout
from stonnx.graph.blocks import (
    FULL_ATTENTION,
    Activation,
    AttentionBlock,
    AttentionPattern,
    EmbeddingBlock,
    FeedForwardBlock,
    GraphInputs,
    Norm,
    Projection,
    Rotary,
)
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.folding import NOTHING_FOLDED, Folded
from stonnx.graph.parameters import Parameters
from stonnx.graph.parts import (
    activate,
    add_bias,
    linear,
    multiply,
    normalize,
    outside_pattern,
    pair_distances,
    ranked_positions,
    rotate,
    rotation,
    vector,
)

__all__ = ["Portable"]


class Portable:
    """The dialect of ``onnx/model.onnx``; one instance writes one graph."""

    name = "portable"
    layout: Layout = "padded"

    def __init__(self) -> None:
        # What all layers share, written once per graph.
        self._masks: dict[AttentionPattern, str] = {}
        self._rotations: dict[Rotary, tuple[str, str]] = {}

    def declare_inputs(
        self,
        g: GraphBuilder,
        *,
        token_types: bool,
        pairs: bool,  # noqa: ARG002 - types are an input of single texts too, as in the original
        prompt_lengths: bool,
    ) -> GraphInputs:
        """``input_ids``, ``attention_mask`` and, where there are types, ``token_type_ids``; int64, (rows, tokens)."""
        shape = ("rows", "tokens")
        return GraphInputs(
            input_ids=g.input("input_ids", shape),
            attention_mask=g.input("attention_mask", shape),
            token_type_ids=g.input("token_type_ids", shape) if token_types else None,
            prompt_lengths=g.input("prompt_lengths", ("prompts",), default=(0,)) if prompt_lengths else None,
        )

    def embed(self, g: GraphBuilder, p: Parameters, inputs: GraphInputs, block: EmbeddingBlock) -> str:
        """Word + token type + position, in the order of addition of the original."""
        x = g.op("Gather", [vector(g, p, block.word), inputs.input_ids])
        if block.token_type is not None:
            x = g.op("Add", [x, _token_types(g, p, inputs, block.token_type)])
        if block.position is not None:
            x = g.op("Add", [x, _positions(g, p, inputs, block.position, block.padding_id)])
        if block.norm is not None:
            x = self.normalize(g, p, x, block.norm)
        return x if block.projection is None else linear(g, p, x, block.projection)

    def attend(self, g: GraphBuilder, p: Parameters, x: str, inputs: GraphInputs, block: AttentionBlock) -> str:
        """Softmax(QKᵀ · scale + mask) V, written out, and the output map."""
        shapes = _head_shapes(g, block)
        products = self.project(g, p, x, block.maps)
        turns = self._rotation(g, inputs, block)
        query, key, value = _by_heads(g, p, list(zip(products, shapes, strict=True)), block, turns)
        scores = g.op("MatMul", [_grouped(g, query, block), key])
        scale = 1.0 / math.sqrt(block.head_size) if block.scale is None else block.scale
        scores = g.op("Mul", [_ungrouped(g, scores, block), g.scalar(scale)])
        if block.bias is not None:
            scores = g.op("Add", [scores, block.bias])
        scores = g.op("Add", [scores, self._mask(g, inputs, block.pattern)])  # (rows, heads, tokens, tokens)
        probabilities = g.op("Softmax", [scores], attributes={"axis": -1})
        context = _ungrouped(g, g.op("MatMul", [_grouped(g, probabilities, block), value]), block)
        context = g.op("Transpose", [context], attributes={"perm": (0, 2, 1, 3)})
        context = g.op("Reshape", [context, g.ints(0, 0, block.heads * block.head_size)])
        (y,) = self.project(g, p, context, block.output)
        return add_bias(g, p, y, block.output.linears[0].bias)

    def feed_forward(self, g: GraphBuilder, p: Parameters, x: str, block: FeedForwardBlock) -> str:
        """One product, or with a gate two, the activation, and the product back."""
        first, *gated = block.maps.linears
        products = self.project(g, p, x, block.maps)
        y = self.activate(g, p, products[0], first.bias, block.activation)
        for product, factor in zip(products[1:], gated, strict=True):
            y = g.op("Mul", [y, add_bias(g, p, product, factor.bias)])
        (y,) = self.project(g, p, y, block.output)
        return add_bias(g, p, y, block.output.linears[0].bias)

    def normalize(self, g: GraphBuilder, p: Parameters, x: str, norm: Norm) -> str:
        """LayerNormalization, or the root of the mean square written out."""
        return normalize(g, p, x, norm)

    def add_norm(self, g: GraphBuilder, p: Parameters, x: str, residual: str, norm: Norm) -> str:
        """An addition, and the norm."""
        return self.normalize(g, p, g.op("Add", [x, residual]), norm)

    def project(
        self,
        g: GraphBuilder,
        p: Parameters,
        x: str,
        block: Projection,
        folded: Folded = NOTHING_FOLDED,  # noqa: ARG002 - nothing is folded here
    ) -> tuple[str, ...]:
        """One MatMul per map."""
        return multiply(g, p, x, block.linears)

    def activate(self, g: GraphBuilder, p: Parameters, x: str, bias: str | None, activation: Activation) -> str:
        """The activation of ``x + bias``, written out."""
        return activate(g, add_bias(g, p, x, bias), activation)

    def _rotation(self, g: GraphBuilder, inputs: GraphInputs, block: AttentionBlock) -> tuple[str, str]:
        """Cosine and sine, once per graph; empty names where nothing is rotated."""
        if block.rotary is None:
            return "", ""
        if block.rotary not in self._rotations:
            self._rotations[block.rotary] = rotation(g, inputs.input_ids, block.rotary)
        return self._rotations[block.rotary]

    def _mask(self, g: GraphBuilder, inputs: GraphInputs, pattern: AttentionPattern) -> str:
        """0 for a token and the lowest float for padding and what the pattern leaves out; once per graph.

        Shape (rows, 1, 1, tokens), or with a pattern (rows, 1, tokens, tokens).
        """
        if pattern not in self._masks:
            self._masks[pattern] = self._write_mask(g, inputs, pattern)
        return self._masks[pattern]

    def _write_mask(self, g: GraphBuilder, inputs: GraphInputs, pattern: AttentionPattern) -> str:
        if pattern != FULL_ATTENTION:
            bias = self._mask(g, inputs, FULL_ATTENTION)
            return outside_pattern(g, bias, pair_distances(g, inputs.input_ids), pattern)
        mask = g.op("Cast", [inputs.attention_mask or ""], attributes={"to": TensorProto.FLOAT})
        mask = g.op("Unsqueeze", [mask, g.ints(1, 2)])
        absent = g.op("Sub", [g.scalar(1.0), mask])
        return g.op("Mul", [absent, g.scalar(float(np.finfo(np.float32).min))])


def _head_shapes(g: GraphBuilder, block: AttentionBlock) -> list[str]:
    """What the products of queries, keys and values are reshaped to."""
    heads = (block.heads, block.key_value_heads, block.key_value_heads)
    return [g.ints(0, 0, count, block.head_size) for count in heads]


def _by_heads(
    g: GraphBuilder, p: Parameters, products: list[tuple[str, str]], block: AttentionBlock, turns: tuple[str, str]
) -> tuple[str, str, str]:
    """Queries, keys and values, (rows, heads, tokens, head_size); of the keys the last two axes are exchanged."""
    norms = (block.query_norm, block.key_norm, None)
    found = []
    for number, ((product, shape), part) in enumerate(zip(products, block.maps.linears, strict=True)):
        norm, is_key, rotary = norms[number], number == 1, block.rotary if number < 2 else None
        plain = norm is None and rotary is None
        y = g.op("Reshape", [add_bias(g, p, product, part.bias), shape])  # (rows, tokens, heads, head_size)
        if norm is not None:
            y = normalize(g, p, y, norm)
        y = g.op("Transpose", [y], attributes={"perm": (0, 2, 3, 1) if is_key and plain else (0, 2, 1, 3)})
        if rotary is not None:
            y = rotate(g, y, turns, rotary, block.head_size)
        found.append(g.op("Transpose", [y], attributes={"perm": (0, 1, 3, 2)}) if is_key and not plain else y)
    return found[0], found[1], found[2]


def _grouped(g: GraphBuilder, x: str, block: AttentionBlock) -> str:
    """(rows, heads, tokens, n) -> (rows, key heads, tokens of the query heads that one serves, n)."""
    if block.heads == block.key_value_heads:
        return x
    return g.op("Reshape", [x, g.ints(0, block.key_value_heads, -1, 0)])


def _ungrouped(g: GraphBuilder, x: str, block: AttentionBlock) -> str:
    """The way back, (rows, heads, tokens, n)."""
    if block.heads == block.key_value_heads:
        return x
    return g.op("Reshape", [x, g.ints(0, block.heads, -1, 0)])


def _token_types(g: GraphBuilder, p: Parameters, inputs: GraphInputs, table: str) -> str:
    """Vectors of the token types: (rows, tokens, width), or that of type 0, (width,), where they are no input."""
    if inputs.token_type_ids is not None:
        return g.op("Gather", [vector(g, p, table), inputs.token_type_ids])
    return g.weight(f"{table}[0]", lambda: p.get(table)[0])


def _positions(g: GraphBuilder, p: Parameters, inputs: GraphInputs, name: str, padding_id: int | None) -> str:
    """Vectors of the positions: (tokens, width), or (rows, tokens, width) where padding does not count."""
    table = vector(g, p, name)
    if padding_id is not None:
        return g.op("Gather", [table, ranked_positions(g, inputs.input_ids, padding_id)])
    length = g.op("Shape", [inputs.input_ids], attributes={"start": 1, "end": 2})
    return g.op("Slice", [table, g.ints(0), length, g.ints(0)])
