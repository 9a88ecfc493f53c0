"""Writes layers in a dialect: the residuals and where the norms are, which all dialects have in common.

For example::

    x = dialect.embed(g, p, inputs, block)
    x = author_layers(g, p, dialect, inputs, x, layers)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stonnx.graph.blocks import GraphInputs, Layer, Norm
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import Dialect
from stonnx.graph.parameters import Parameters

__all__ = ["author_layers"]


def author_layers(
    g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs, x: str, layers: Iterable[Layer]
) -> str:
    """Write layers one after the other.

    Args:
        g: The graph.
        p: The encoder's tensors.
        dialect: How the parts are written.
        inputs: The graph's inputs.
        x: The embeddings, float32, shape (rows, tokens, width).
        layers: The layers, in order. A last norm after pre-norm layers is the caller's.

    Returns:
        The last layer's result, float32, shape (rows, tokens, width).

    Raises:
        CannotWriteError: The dialect has no form for a part of a layer.
    """

    def around(block: Callable[[str], str], x: str, norm: Norm | None, placement: str) -> str:
        if norm is None:
            return g.op("Add", [block(x), x])
        if placement == "pre":
            return g.op("Add", [block(dialect.normalize(g, p, x, norm)), x])
        return dialect.add_norm(g, p, block(x), x, norm)

    for layer in layers:

        def attend(y: str, layer: Layer = layer) -> str:
            return dialect.attend(g, p, y, inputs, layer.attention)

        def feed_forward(y: str, layer: Layer = layer) -> str:
            return dialect.feed_forward(g, p, y, layer.feed_forward)

        x = around(attend, x, layer.attention_norm, layer.placement)
        x = around(feed_forward, x, layer.feed_forward_norm, layer.placement)
    return x
