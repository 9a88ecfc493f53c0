"""An encoder of the post-norm kind: tables, layers, and for some families a bias on the attention scores.

Most families are one of these with their own names and sizes, so a family's file is the reader of its ``config.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from stonnx.graph.architectures.post_norm import PostNorm
from stonnx.graph.architectures.tables import Tables
from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import Dialect
from stonnx.graph.parameters import Parameters

__all__ = ["PostNormEncoder", "ScoreBias", "usual_prefixes"]


class ScoreBias(Protocol):
    """A bias on the attention scores that all layers share."""

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor that it needs, by name."""
        ...

    def author(self, g: GraphBuilder, p: Parameters, inputs: GraphInputs) -> str:
        """Write it: float32, shape (1, heads, tokens, tokens)."""
        ...


@dataclass(frozen=True, kw_only=True)
class PostNormEncoder:
    """An encoder that can be authored; see ``Architecture``.

    Attributes:
        prefixes: What may stand before the tensor names in a checkpoint.
        tables: The embeddings.
        layers: The layers.
        score_bias: A bias on the attention scores; None for none.
    """

    prefixes: tuple[str, ...]
    tables: Tables
    layers: PostNorm
    score_bias: ScoreBias | None = None

    @property
    def width(self) -> int:
        """Length of a token vector."""
        return self.layers.sizes.width

    @property
    def vocabulary(self) -> int:
        """Rows of the table of words."""
        return self.tables.sizes.vocab

    @property
    def token_types(self) -> bool:
        """Whether there are token types to tell apart: one alone is a constant."""
        return self.tables.token_types > 1

    @property
    def max_tokens(self) -> int:
        """Longest row that the table of positions has room for, in tokens."""
        return self.tables.max_tokens

    @property
    def padding_id(self) -> int | None:
        """The token id that positions do not count; None where all tokens count."""
        return self.tables.padding_id

    @property
    def layer_count(self) -> int:
        """How many layers a text runs through, shared ones counted each time."""
        return self.layers.count

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor that the encoder needs, by name."""
        bias = {} if self.score_bias is None else self.score_bias.expected_tensors()
        return {**self.tables.expected_tensors(), **bias, **self.layers.expected_tensors()}

    def embed(self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs) -> str:
        """Write the tables; see ``Architecture.embed``."""
        return dialect.embed(g, p, inputs, self.tables.block())

    def author_layers(
        self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs, x: str, layers: range
    ) -> str:
        """Write some of the layers, with the bias that they share; see ``Architecture.author_layers``."""
        bias = None if self.score_bias is None else self.score_bias.author(g, p, inputs)
        return self.layers.author(g, p, dialect, inputs, x, layers=layers, bias=bias)

    def author(self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs) -> str:
        """Write the encoder: its embeddings and all of its layers.

        Returns:
            The last hidden state, float32, shape (rows, tokens, width).

        Raises:
            CannotWriteError: The dialect has no form for a part of it.
        """
        x = self.embed(g, p, dialect, inputs)
        return self.author_layers(g, p, dialect, inputs, x, range(self.layer_count))


def usual_prefixes(base: str) -> tuple[str, ...]:
    """What stands before tensor names in checkpoints of a family.

    Args:
        base: What transformers' models with a head of their own call the encoder, such as ``bert``.
    """
    return ("", f"{base}.", "0.auto_model.", "auto_model.", f"0.auto_model.{base}.", "model.")
