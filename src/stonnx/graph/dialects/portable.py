"""Standard ONNX operators only: runs anywhere, takes padded batches with a mask."""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto

from stonnx.graph.blocks import (
    Activation,
    AttentionBlock,
    EmbeddingBlock,
    GraphInputs,
    Linear,
    Norm,
    Projection,
    multiply,
    ranked_positions,
    vector,
)
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.parameters import Parameters

__all__ = ["Portable"]


class Portable:
    """The dialect of ``onnx/model.onnx``; one instance writes one graph."""

    name = "portable"
    equal_lengths = False

    def __init__(self) -> None:
        self._mask_bias: str | None = None

    def declare_inputs(self, g: GraphBuilder, *, token_types: bool, prompt_length: bool) -> GraphInputs:
        """``input_ids``, ``attention_mask`` and, where there are types, ``token_type_ids``; int64, (rows, tokens)."""
        shape = ("rows", "tokens")
        return GraphInputs(
            input_ids=g.input("input_ids", shape),
            attention_mask=g.input("attention_mask", shape),
            token_type_ids=g.input("token_type_ids", shape) if token_types else None,
            prompt_length=g.input("prompt_length", (), default=0) if prompt_length else None,
        )

    def embed(self, g: GraphBuilder, p: Parameters, inputs: GraphInputs, block: EmbeddingBlock) -> str:
        """Word + token type + position, in the order of addition of the original."""
        x = g.op("Gather", [vector(g, p, block.word), inputs.input_ids])
        if block.token_type is not None:
            x = g.op("Add", [x, g.op("Gather", [vector(g, p, block.token_type), inputs.token_type_ids or ""])])
        table = vector(g, p, block.position)
        if block.padding_id is None:
            length = g.op("Shape", [inputs.input_ids], attributes={"start": 1, "end": 2})
            positions = g.op("Slice", [table, g.ints(0), length, g.ints(0)])  # (tokens, width)
        else:
            positions = g.op("Gather", [table, ranked_positions(g, inputs.input_ids, block.padding_id)])
        x = g.op("Add", [x, positions])
        return self._norm(g, p, x, block.norm)

    def attend(self, g: GraphBuilder, p: Parameters, x: str, inputs: GraphInputs, block: AttentionBlock) -> str:
        """Softmax(QKᵀ / √d + mask) V, written out."""
        heads = g.ints(0, 0, block.heads, block.head_size)

        def split(product: str, linear: Linear, axes: tuple[int, ...]) -> str:
            y = g.op("Add", [product, vector(g, p, linear.bias)])
            y = g.op("Reshape", [y, heads])  # (rows, tokens, heads, head_size)
            return g.op("Transpose", [y], attributes={"perm": axes})

        products = self.project(g, p, x, Projection(linears=(block.query, block.key, block.value), source="norm"))
        query = split(products[0], block.query, (0, 2, 1, 3))  # (rows, heads, tokens, head_size)
        key = split(products[1], block.key, (0, 2, 3, 1))  # (rows, heads, head_size, tokens)
        value = split(products[2], block.value, (0, 2, 1, 3))
        scores = g.op("Mul", [g.op("MatMul", [query, key]), g.scalar(1.0 / math.sqrt(block.head_size))])
        if block.bias is not None:
            scores = g.op("Add", [scores, block.bias])
        scores = g.op("Add", [scores, self._mask(g, inputs)])  # (rows, heads, tokens, tokens)
        probabilities = g.op("Softmax", [scores], attributes={"axis": -1})
        context = g.op("MatMul", [probabilities, value])
        context = g.op("Transpose", [context], attributes={"perm": (0, 2, 1, 3)})
        return g.op("Reshape", [context, g.ints(0, 0, block.heads * block.head_size)])

    def project(self, g: GraphBuilder, p: Parameters, x: str, block: Projection) -> tuple[str, ...]:
        """One MatMul per map."""
        return multiply(g, p, x, block)

    def add_norm(self, g: GraphBuilder, p: Parameters, x: str, residual: str, bias: str, norm: Norm) -> str:
        """Two additions and a LayerNormalization."""
        x = g.op("Add", [g.op("Add", [x, vector(g, p, bias)]), residual])
        return self._norm(g, p, x, norm)

    def activate(self, g: GraphBuilder, p: Parameters, x: str, bias: str, activation: Activation) -> str:
        """Exact GELU through Erf, its tanh form (Hendrycks & Gimpel 2016, arXiv:1606.08415), or ReLU."""
        x = g.op("Add", [x, vector(g, p, bias)])
        if activation == "relu":
            return g.op("Relu", [x])
        if activation == "gelu":
            curve = g.op("Erf", [g.op("Mul", [x, g.scalar(1.0 / math.sqrt(2.0))])])
        else:
            cube = g.op("Mul", [g.op("Mul", [x, x]), x])
            inner = g.op("Add", [x, g.op("Mul", [cube, g.scalar(0.044715)])])
            curve = g.op("Tanh", [g.op("Mul", [inner, g.scalar(math.sqrt(2.0 / math.pi))])])
        half = g.op("Mul", [x, g.scalar(0.5)])
        return g.op("Mul", [half, g.op("Add", [curve, g.scalar(1.0)])])

    def _norm(self, g: GraphBuilder, p: Parameters, x: str, norm: Norm) -> str:
        inputs = [x, vector(g, p, norm.weight), vector(g, p, norm.bias)]
        return g.op("LayerNormalization", inputs, attributes={"axis": -1, "epsilon": norm.eps})

    def _mask(self, g: GraphBuilder, inputs: GraphInputs) -> str:
        """0 for a token and the lowest float for padding, shape (rows, 1, 1, tokens); once per graph."""
        if self._mask_bias is None:
            mask = g.op("Cast", [inputs.attention_mask or ""], attributes={"to": TensorProto.FLOAT})
            mask = g.op("Unsqueeze", [mask, g.ints(1, 2)])
            absent = g.op("Sub", [g.scalar(1.0), mask])
            self._mask_bias = g.op("Mul", [absent, g.scalar(float(np.finfo(np.float32).min))])
        return self._mask_bias
