"""A dialect: how one target wants the parts of an encoder written."""

from __future__ import annotations

from typing import Protocol

from stonnx.graph.blocks import Activation, AttentionBlock, EmbeddingBlock, GraphInputs, Norm, Projection
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.parameters import Parameters

__all__ = ["Dialect"]


class Dialect(Protocol):
    """Writes encoder parts into a graph. ``x`` and results have shape (rows, tokens, width).

    Attributes:
        name: Name of the dialect.
        equal_lengths: The graph has no mask; all rows of a batch must have the same length.
    """

    @property
    def name(self) -> str:
        """Name of the dialect."""
        ...

    @property
    def equal_lengths(self) -> bool:
        """Whether the graph takes no mask."""
        ...

    def declare_inputs(self, g: GraphBuilder, *, token_types: bool, prompt_length: bool) -> GraphInputs:
        """Declare the graph's inputs."""
        ...

    def embed(self, g: GraphBuilder, p: Parameters, inputs: GraphInputs, block: EmbeddingBlock) -> str:
        """Embedding tables and their layer norm."""
        ...

    def attend(self, g: GraphBuilder, p: Parameters, x: str, inputs: GraphInputs, block: AttentionBlock) -> str:
        """Self-attention up to, and without, the output projection."""
        ...

    def project(self, g: GraphBuilder, p: Parameters, x: str, block: Projection) -> tuple[str, ...]:
        """``x Wᵀ`` for each map of the block, without the biases."""
        ...

    def add_norm(self, g: GraphBuilder, p: Parameters, x: str, residual: str, bias: str, norm: Norm) -> str:
        """``LayerNorm(x + bias + residual)``; ``bias`` is a tensor name of the checkpoint."""
        ...

    def activate(self, g: GraphBuilder, p: Parameters, x: str, bias: str, activation: Activation) -> str:
        """``activation(x + bias)``."""
        ...
