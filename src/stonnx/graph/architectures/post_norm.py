"""The layers that BERT and its relatives share: attention and feed-forward blocks with the norm after the residual.

A family says how its tensors are called (``LayerNames``), where each layer's are (``roots``; layers that share their
weights have the same root), and whether a bias is added to the attention scores; the rest is here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from stonnx.graph.architectures.config import Sizes
from stonnx.graph.blocks import (
    ACTIVATION_LOWER_BOUNDS,
    AttentionBlock,
    FeedForwardBlock,
    GraphInputs,
    Layer,
    Linear,
    Norm,
    Projection,
)
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import Dialect
from stonnx.graph.layers import author_layers
from stonnx.graph.parameters import Parameters

__all__ = ["BERT_LAYERS", "LayerNames", "PostNorm", "linear_of", "linear_shapes", "norm_of", "norm_shapes"]


@dataclass(frozen=True, kw_only=True)
class LayerNames:
    """Where the parts of a layer are below its root: each has ``.weight`` and ``.bias``."""

    query: str
    key: str
    value: str
    projection: str
    attention_norm: str
    inner: str = "intermediate.dense"
    outer: str = "output.dense"
    norm: str = "output.LayerNorm"


BERT_LAYERS = LayerNames(
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    projection="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
)
"""The names of BERT, which RoBERTa and ELECTRA kept."""


@dataclass(frozen=True, kw_only=True)
class PostNorm:
    """The layers of one network: its sizes, and how its tensors are called.

    Attributes:
        sizes: Of the network.
        names: Of the parts of a layer.
        roots: What the names of a layer's tensors begin with, one for each layer; None for ``encoder.layer.N.``.
        mapped_embeddings: The first layer gets its input from a linear map, not from a norm.
    """

    sizes: Sizes
    names: LayerNames
    roots: tuple[str, ...] | None = None
    mapped_embeddings: bool = False

    @property
    def count(self) -> int:
        """How many layers a text runs through, shared ones counted each time."""
        return len(self._roots())

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor of the layers, by name."""
        sizes, names = self.sizes, self.names
        shapes: dict[str, tuple[int, ...]] = {}
        for root in dict.fromkeys(self._roots()):
            for name in (names.query, names.key, names.value, names.projection):
                shapes |= linear_shapes(root + name, sizes.width, sizes.width)
            shapes |= norm_shapes(root + names.attention_norm, sizes.width)
            shapes |= linear_shapes(root + names.inner, sizes.inner, sizes.width)
            shapes |= linear_shapes(root + names.outer, sizes.width, sizes.inner)
            shapes |= norm_shapes(root + names.norm, sizes.width)
        return shapes

    def layers(self, *, bias: str | None = None) -> Iterator[Layer]:
        """The layers, in order.

        Args:
            bias: Added to the attention scores of every layer, shape (1, heads, tokens, tokens); None for none.
        """
        for number, root in enumerate(self._roots()):
            mapped = self.mapped_embeddings and number == 0
            yield self._layer(f"layer.{number}", root, bias, source="linear" if mapped else "norm")

    def author(
        self,
        g: GraphBuilder,
        p: Parameters,
        dialect: Dialect,
        inputs: GraphInputs,
        x: str,
        *,
        layers: range,
        bias: str | None = None,
    ) -> str:
        """Write some layers, in order.

        Args:
            g: The graph.
            p: The encoder's tensors.
            dialect: How the parts are written.
            inputs: The graph's inputs.
            x: What the first of them takes, float32, shape (rows, tokens, width).
            layers: Which ones: ``range(start, stop)`` within ``count``.
            bias: As in ``layers``.

        Returns:
            The last one's result, float32, shape (rows, tokens, width).

        Raises:
            CannotWriteError: The dialect has no form for a part of a layer.
        """
        return author_layers(g, p, dialect, inputs, x, islice(self.layers(bias=bias), layers.start, layers.stop))

    def _roots(self) -> tuple[str, ...]:
        if self.roots is not None:
            return self.roots
        return tuple(f"encoder.layer.{number}." for number in range(self.sizes.layers))

    def _layer(self, site: str, root: str, bias: str | None, *, source: Literal["norm", "linear"]) -> Layer:
        sizes, names = self.sizes, self.names
        maps = tuple(linear_of(root + name) for name in (names.query, names.key, names.value))
        attention = AttentionBlock(
            maps=Projection(site=f"{site}.attention", linears=maps, source=source),
            output=Projection(
                site=f"{site}.attention.output", linears=(linear_of(root + names.projection),), source="attention"
            ),
            heads=sizes.heads,
            key_value_heads=sizes.heads,
            head_size=sizes.width // sizes.heads,
            bias=bias,
        )
        feed_forward = FeedForwardBlock(
            maps=Projection(site=f"{site}.feed_forward", linears=(linear_of(root + names.inner),), source="norm"),
            output=Projection(
                site=f"{site}.feed_forward.output",
                linears=(linear_of(root + names.outer),),
                source="activation",
                lower_bound=ACTIVATION_LOWER_BOUNDS[sizes.activation],
            ),
            activation=sizes.activation,
        )
        return Layer(
            attention=attention,
            feed_forward=feed_forward,
            attention_norm=norm_of(root + names.attention_norm, sizes.eps),
            feed_forward_norm=norm_of(root + names.norm, sizes.eps),
        )


def norm_of(root: str, eps: float) -> Norm:
    """The layer norm whose tensors begin with ``root``."""
    return Norm(weight=f"{root}.weight", bias=f"{root}.bias", eps=eps)


def norm_shapes(root: str, width: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a layer norm's tensors."""
    return {f"{root}.weight": (width,), f"{root}.bias": (width,)}


def linear_of(root: str) -> Linear:
    """The linear map whose tensors begin with ``root``."""
    return Linear(f"{root}.weight", f"{root}.bias")


def linear_shapes(root: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a linear map's tensors."""
    return {f"{root}.weight": (out, into), f"{root}.bias": (out,)}
