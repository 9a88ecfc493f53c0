"""ONNX Runtime on CPU: its fused operators, no mask.

Why these operators (docs/decisions/0002-optimised-graph.md, timed by benchmarks/graph_choices.py):

* MultiHeadAttention without a mask takes ONNX Runtime's flash attention; with the biases as
  its own input, adding and transposing run on all threads.
* SkipLayerNormalization adds bias and residual in the same pass.
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
    """The dialect of ``onnx/model_optimized.onnx``."""

    name = "ort_cpu"
    equal_lengths = True

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
        return self._skip_norm(g, p, [words, positions], None, block.norm)

    def attend(
        self,
        g: GraphBuilder,
        p: Parameters,
        x: str,
        inputs: GraphInputs,  # noqa: ARG002 - no mask here
        block: AttentionBlock,
    ) -> str:
        """Three products and one fused attention."""
        linears = (block.query, block.key, block.value)

        def biases() -> NDArray[np.float32]:
            return np.concatenate([p.get(linear.bias) for linear in linears])

        projected = self.project(g, p, x, Projection(linears=linears, source="norm"))
        bias = g.weight(f"{block.query.bias}+key+value", biases)
        more = [] if block.bias is None else ["", block.bias]  # no mask, attention_bias
        return g.op(
            "MultiHeadAttention", [*projected, bias, *more], domain=CONTRIB, attributes={"num_heads": block.heads}
        )

    def project(self, g: GraphBuilder, p: Parameters, x: str, block: Projection) -> tuple[str, ...]:
        """One MatMul per map."""
        return multiply(g, p, x, block)

    def add_norm(self, g: GraphBuilder, p: Parameters, x: str, residual: str, bias: str, norm: Norm) -> str:
        """One SkipLayerNormalization."""
        return self._skip_norm(g, p, [x, residual], self._bias(g, p, bias), norm)

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

    def _bias(self, g: GraphBuilder, p: Parameters, name: str) -> str:
        """The bias of a map whose product goes into a norm."""
        return vector(g, p, name)

    def _skip_norm(self, g: GraphBuilder, p: Parameters, terms: list[str], bias: str | None, norm: Norm) -> str:
        inputs = [*terms, vector(g, p, norm.weight), vector(g, p, norm.bias)]
        if bias is not None:
            inputs.append(bias)
        return g.op("SkipLayerNormalization", inputs, domain=CONTRIB, attributes={"epsilon": norm.eps})
