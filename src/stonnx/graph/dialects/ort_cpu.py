"""ONNX Runtime on CPU: its fused operators, no mask.

Why these operators (docs/decisions/0002-optimised-graph.md, timed by benchmarks/graph_choices.py):

* MultiHeadAttention without a mask takes ONNX Runtime's flash attention. Only the queries need their bias there: a
  key's bias adds the same to all scores of a query, which softmax takes out again, and a value's bias is added to
  every context, so the projection's bias takes it in.
* Two additions and a LayerNormalization: since version 1.31 SkipLayerNormalization takes five times as long.
* The token type of a single text is 0, so that row is added to the position table ahead of time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stonnx.graph.blocks import (
    Activation,
    AttentionBlock,
    EmbeddingBlock,
    GraphInputs,
    Norm,
    Projection,
    multiply,
    ranked_positions,
    vector,
)
from stonnx.graph.builder import CONTRIB, GraphBuilder
from stonnx.graph.parameters import Parameters

__all__ = ["OrtCpu"]


class OrtCpu:
    """The dialect of ``onnx/model_optimized.onnx``; one instance writes one graph."""

    name = "ort_cpu"
    equal_lengths = True

    def __init__(self) -> None:
        self._value_bias_by_output: dict[str, tuple[str, str]] = {}  # bias of the output map: its weight, value's bias

    def declare_inputs(
        self,
        g: GraphBuilder,
        *,
        token_types: bool,  # noqa: ARG002 - folded into the position table
        prompt_length: bool,
    ) -> GraphInputs:
        """``input_ids`` alone: rows of one batch have equal lengths and need no mask."""
        return GraphInputs(
            input_ids=g.input("input_ids", ("rows", "tokens")),
            attention_mask=None,
            token_type_ids=None,
            prompt_length=g.input("prompt_length", (), default=0) if prompt_length else None,
        )

    def embed(self, g: GraphBuilder, p: Parameters, inputs: GraphInputs, block: EmbeddingBlock) -> str:
        """Word table plus one table for position and token type 0."""
        words = g.op("Gather", [vector(g, p, block.word), inputs.input_ids])
        if block.padding_id is not None:
            ranks = ranked_positions(g, inputs.input_ids, block.padding_id)
            positions = g.op("Gather", [self._offsets(g, p, block), ranks])  # (rows, tokens, width)
        else:
            length = g.op("Shape", [inputs.input_ids], attributes={"start": 1, "end": 2})
            positions = g.op("Slice", [self._offsets(g, p, block), g.ints(0), length, g.ints(0)])
            positions = g.op("Unsqueeze", [positions, g.ints(0)])  # (1, tokens, width)
        return self._norm(g, p, g.op("Add", [words, positions]), block.norm)

    def attend(
        self,
        g: GraphBuilder,
        p: Parameters,
        x: str,
        inputs: GraphInputs,  # noqa: ARG002 - no mask here
        block: AttentionBlock,
    ) -> str:
        """Three products and one fused attention; only the queries get their bias here."""
        linears = (block.query, block.key, block.value)
        query, key, value = self.project(g, p, x, Projection(linears=linears, source="norm"))
        query = self._biased(g, p, query, block.query.bias)
        self._value_bias_by_output[block.output.bias] = (block.output.weight, block.value.bias)
        more = [] if block.bias is None else ["", "", block.bias]  # no biases, no mask, attention_bias
        return g.op(
            "MultiHeadAttention",
            [query, key, value, *more],
            domain=CONTRIB,
            attributes={"num_heads": block.heads},
        )

    def project(self, g: GraphBuilder, p: Parameters, x: str, block: Projection) -> tuple[str, ...]:
        """One MatMul per map."""
        return multiply(g, p, x, block)

    def add_norm(self, g: GraphBuilder, p: Parameters, x: str, residual: str, bias: str, norm: Norm) -> str:
        """Two additions and one LayerNormalization."""
        return self._norm(g, p, g.op("Add", [self._biased(g, p, x, bias), residual]), norm)

    def activate(self, g: GraphBuilder, p: Parameters, x: str, bias: str, activation: Activation) -> str:
        """BiasGelu (exact), FastGelu (tanh), or an addition and Relu."""
        inputs = [x, vector(g, p, bias)]
        if activation == "relu":
            return g.op("Relu", [g.op("Add", inputs)])
        return g.op("BiasGelu" if activation == "gelu" else "FastGelu", inputs, domain=CONTRIB)

    def _offsets(self, g: GraphBuilder, p: Parameters, block: EmbeddingBlock) -> str:
        """One table for position and token type 0, shape (positions, width)."""
        if block.token_type is None:
            return vector(g, p, block.position)
        token_type = block.token_type
        return g.weight(f"{block.position}+token_type_0", lambda: p.get(block.position) + p.get(token_type)[0])

    def _biased(self, g: GraphBuilder, p: Parameters, x: str, name: str) -> str:
        """A product plus the bias of its map."""
        return g.op("Add", [x, self._bias_tensor(g, p, name)])

    def _bias_tensor(self, g: GraphBuilder, p: Parameters, name: str) -> str:
        return g.weight(self._bias_name(name), lambda: self._bias(p, name))

    def _bias_name(self, name: str) -> str:
        """What the weight file calls the bias of a map whose product goes into a norm."""
        return f"{name}+value" if name in self._value_bias_by_output else name

    def _bias(self, p: Parameters, name: str) -> NDArray[np.float32]:
        """That bias, float32, shape (out,): behind an attention with what the values' bias comes to."""
        bias = p.get(name)
        if name not in self._value_bias_by_output:
            return bias
        weight, value_bias = self._value_bias_by_output[name]
        # A row of attention weights sums to 1: softmax(..) (V + b) Wᵀ = softmax(..) V Wᵀ + b Wᵀ
        folded = p.get(weight).astype(np.float64) @ p.get(value_bias).astype(np.float64)
        return (bias + folded).astype(np.float32)

    def _norm(self, g: GraphBuilder, p: Parameters, x: str, norm: Norm) -> str:
        inputs = [x, vector(g, p, norm.weight), vector(g, p, norm.bias)]
        return g.op("LayerNormalization", inputs, attributes={"axis": -1, "epsilon": norm.eps})
