"""The encoder that BERT and its relatives share: blocks with the layer norm behind the residual (post-norm).

A family says how its tensors are called (``LayerNames``), what its embeddings are, and whether a
bias is added to the attention scores; the rest is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from stonnx.checkpoint.limits import DEFAULT_POSITIONS
from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.blocks import (
    ACTIVATION_LOWER_BOUNDS,
    Activation,
    AttentionBlock,
    GraphInputs,
    Linear,
    Norm,
    Projection,
)
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import Dialect
from stonnx.graph.parameters import Parameters

__all__ = ["LayerNames", "PostNorm", "Sizes", "norm_of", "norm_shapes", "positive"]

_ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}

_MOST_LAYERS = 200  # the deepest encoders have some dozens


@dataclass(frozen=True, kw_only=True)
class LayerNames:
    """Where the parts of ``encoder.layer.N`` are: each has ``.weight`` and ``.bias``."""

    query: str
    key: str
    value: str
    projection: str
    attention_norm: str
    inner: str = "intermediate.dense"
    outer: str = "output.dense"
    norm: str = "output.LayerNorm"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What ``config.json`` says about the shape of the network."""

    vocab: int
    positions: int
    width: int
    inner: int
    layers: int
    heads: int
    eps: float
    activation: Activation

    @classmethod
    def read(cls, config: Mapping[str, Any], *, vocab_default: int) -> Self:
        """Check the values; the defaults are those of transformers' configuration classes.

        Raises:
            CheckpointError: A value is missing or senseless.
            UnsupportedModelError: The activation is not authored, or the model is a decoder.
        """
        for flag in ("is_decoder", "add_cross_attention"):
            if config.get(flag):
                raise UnsupportedModelError(f"{flag} is set: this is a decoder, and stonnx authors encoders.")
        name = config.get("hidden_act", "gelu")
        if not isinstance(name, str) or name not in _ACTIVATIONS:
            raise UnsupportedModelError(f"hidden_act is {name!r}; stonnx authors {', '.join(_ACTIVATIONS)}.")
        heads, width = positive(config, "num_attention_heads", 12), positive(config, "hidden_size", 768)
        if width % heads:
            raise CheckpointError(f"config.json: hidden_size {width} is not a multiple of num_attention_heads {heads}.")
        eps = config.get("layer_norm_eps", 1e-12)
        if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0 <= eps < 1:
            raise CheckpointError(f"config.json: layer_norm_eps is {eps!r}, expected a small positive number.")
        return cls(
            vocab=positive(config, "vocab_size", vocab_default),
            positions=positive(config, "max_position_embeddings", DEFAULT_POSITIONS),
            width=width,
            inner=positive(config, "intermediate_size", 3072),
            layers=_layers(config),
            heads=heads,
            eps=float(eps),
            activation=_ACTIVATIONS[name],
        )


@dataclass(frozen=True, kw_only=True)
class PostNorm:
    """The layers of one network: its sizes, and how its tensors are called."""

    sizes: Sizes
    names: LayerNames

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor of the layers, by name."""
        sizes, names = self.sizes, self.names
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(sizes.layers):
            root = _root(layer)
            for name in (names.query, names.key, names.value, names.projection):
                shapes |= _linear_shapes(root + name, sizes.width, sizes.width)
            shapes |= norm_shapes(root + names.attention_norm, sizes.width)
            shapes |= _linear_shapes(root + names.inner, sizes.inner, sizes.width)
            shapes |= _linear_shapes(root + names.outer, sizes.width, sizes.inner)
            shapes |= norm_shapes(root + names.norm, sizes.width)
        return shapes

    def author(
        self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs, x: str, *, bias: str | None = None
    ) -> str:
        """Write all layers.

        Args:
            g: The graph.
            p: The encoder's tensors.
            dialect: How the parts are written.
            inputs: The graph's inputs.
            x: The normalised embeddings, float32, shape (rows, tokens, width).
            bias: Added to the attention scores of every layer, shape (1, heads, tokens, tokens); None for none.

        Returns:
            The last hidden state, float32, shape (rows, tokens, width).
        """
        sizes, names = self.sizes, self.names
        lower_bound = ACTIVATION_LOWER_BOUNDS[sizes.activation]
        for layer in range(sizes.layers):
            root = _root(layer)
            projection = _linear(root + names.projection)
            attention = AttentionBlock(
                query=_linear(root + names.query),
                key=_linear(root + names.key),
                value=_linear(root + names.value),
                output=projection,
                heads=sizes.heads,
                head_size=sizes.width // sizes.heads,
                bias=bias,
            )
            context = dialect.attend(g, p, x, inputs, attention)
            (y,) = dialect.project(g, p, context, Projection(linears=(projection,), source="attention"))
            x = dialect.add_norm(g, p, y, x, projection.bias, norm_of(root + names.attention_norm, sizes.eps))
            inner, outer = _linear(root + names.inner), _linear(root + names.outer)
            (y,) = dialect.project(g, p, x, Projection(linears=(inner,), source="norm"))
            y = dialect.activate(g, p, y, inner.bias, sizes.activation)
            outer_block = Projection(linears=(outer,), source="activation", lower_bound=lower_bound)
            (y,) = dialect.project(g, p, y, outer_block)
            x = dialect.add_norm(g, p, y, x, outer.bias, norm_of(root + names.norm, sizes.eps))
        return x


def norm_of(root: str, eps: float) -> Norm:
    """The layer norm whose tensors begin with ``root``."""
    return Norm(f"{root}.weight", f"{root}.bias", eps)


def norm_shapes(root: str, width: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a layer norm's tensors."""
    return {f"{root}.weight": (width,), f"{root}.bias": (width,)}


def positive(config: Mapping[str, Any], key: str, default: int) -> int:
    """A positive integer of ``config.json``.

    Raises:
        CheckpointError: It is something else.
    """
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise CheckpointError(f"config.json: {key} is {value!r}, expected a positive integer.")
    return value


def _layers(config: Mapping[str, Any]) -> int:
    """The number of layers; every other size is compared with a tensor before anything of that size is made."""
    layers = positive(config, "num_hidden_layers", 12)
    if layers > _MOST_LAYERS:
        raise CheckpointError(f"config.json: num_hidden_layers is {layers}, expected at most {_MOST_LAYERS}.")
    return layers


def _root(layer: int) -> str:
    return f"encoder.layer.{layer}."


def _linear(root: str) -> Linear:
    return Linear(f"{root}.weight", f"{root}.bias")


def _linear_shapes(root: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
    return {f"{root}.weight": (out, into), f"{root}.bias": (out,)}
