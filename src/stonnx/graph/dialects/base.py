"""A dialect: how one target wants the parts of an encoder written."""

from __future__ import annotations

from typing import Protocol

from stonnx.artifact.manifest import Layout
from stonnx.errors import UnsupportedModelError
from stonnx.graph.blocks import (
    AttentionBlock,
    EmbeddingBlock,
    FeedForwardBlock,
    GraphInputs,
    Norm,
    Projection,
)
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.folding import NOTHING_FOLDED, Folded
from stonnx.graph.parameters import Parameters

__all__ = ["CannotWriteError", "Dialect"]


class CannotWriteError(UnsupportedModelError):
    """A dialect has no way to write a part of a model; the model's other variants are not touched by it.

    Attributes:
        dialect: The dialect's name.
        what: The part, such as "causal attention".
    """

    def __init__(self, dialect: str, what: str) -> None:
        super().__init__(
            f"The dialect {dialect} cannot write {what}.", hint="The portable graph has standard operators for it."
        )
        self.dialect = dialect
        self.what = what


class Dialect(Protocol):
    """Writes encoder parts into a graph. ``x`` and results are float32 of shape (rows, tokens, width).

    Every part is described whole, so no call depends on another one. One instance writes one graph.
    """

    @property
    def name(self) -> str:
        """Name of the dialect."""
        ...

    @property
    def layout(self) -> Layout:
        """How the rows of a batch must lie; graphs for rows of equal length take no mask."""
        ...

    def declare_inputs(self, g: GraphBuilder, *, token_types: bool, pairs: bool, prompt_lengths: bool) -> GraphInputs:
        """Declare the graph's inputs.

        Args:
            g: The graph.
            token_types: The encoder tells token types apart.
            pairs: Rows are pairs of texts, so that types other than 0 come up.
            prompt_lengths: The head leaves the tokens of the prompt out.
        """
        ...

    def embed(self, g: GraphBuilder, p: Parameters, inputs: GraphInputs, block: EmbeddingBlock) -> str:
        """Embedding tables, their norm, and the map to the width of the layers.

        Raises:
            CannotWriteError: A part of the block has no form here.
        """
        ...

    def attend(self, g: GraphBuilder, p: Parameters, x: str, inputs: GraphInputs, block: AttentionBlock) -> str:
        """Self-attention with its output map and that map's bias.

        Raises:
            CannotWriteError: A part of the block has no form here.
        """
        ...

    def feed_forward(self, g: GraphBuilder, p: Parameters, x: str, block: FeedForwardBlock) -> str:
        """The feed-forward block with all its biases.

        Raises:
            CannotWriteError: A part of the block has no form here.
        """
        ...

    def normalize(self, g: GraphBuilder, p: Parameters, x: str, norm: Norm) -> str:
        """A norm over the last axis."""
        ...

    def add_norm(self, g: GraphBuilder, p: Parameters, x: str, residual: str, norm: Norm) -> str:
        """The norm of ``x + residual``."""
        ...

    def project(
        self, g: GraphBuilder, p: Parameters, x: str, block: Projection, folded: Folded = NOTHING_FOLDED
    ) -> tuple[str, ...]:
        """``x Wᵀ`` for each map of the block, without the maps' own biases, and with what is folded in."""
        ...
