"""Reads what a ``config.json`` says about the shape of an encoder; the defaults are those of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from stonnx._fields import Fields
from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.blocks import Activation

__all__ = ["MOST_LAYERS", "ConfigKeys", "Sizes", "absolute_positions_only", "padding_id", "positive"]

_ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}

_ELSEWHERE = "Keep this model on sentence-transformers."

MOST_LAYERS = 200
"""More layers than any encoder has: the deepest have some dozens."""


@dataclass(frozen=True, kw_only=True)
class ConfigKeys:
    """What a family calls its sizes, and what they are where ``config.json`` does not say.

    Attributes:
        vocab_default: Rows of the table of words.
        width: Key of the width of the layers.
        inner: Key of the width between the maps of a feed-forward block.
        layers: Key of the number of layers.
        heads: Key of the number of heads.
        activation: Key of the activation.
        defaults: Further defaults that differ from BERT's, by key.
        fixed_eps: The epsilon of all layer norms where the family has no key for it.
    """

    vocab_default: int
    width: str = "hidden_size"
    inner: str = "intermediate_size"
    layers: str = "num_hidden_layers"
    heads: str = "num_attention_heads"
    activation: str = "hidden_act"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed_eps: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What ``config.json`` says about the shape of the network.

    Attributes:
        vocab: Rows of the table of words.
        positions: Rows of the table of positions.
        width: Length of a token vector.
        inner: Width between the maps of a feed-forward block.
        layers: Number of layers.
        heads: Number of attention heads.
        eps: Epsilon of the layer norms.
        activation: Of the feed-forward blocks.
    """

    vocab: int
    positions: int
    width: int
    inner: int
    layers: int
    heads: int
    eps: float
    activation: Activation

    @classmethod
    def read(cls, config: Mapping[str, Any], keys: ConfigKeys) -> Self:
        """Check the values.

        Raises:
            CheckpointError: A value is missing or senseless.
            UnsupportedModelError: The activation is not authored, or the model is a decoder.
        """
        for flag in ("is_decoder", "add_cross_attention"):
            if config.get(flag):
                raise UnsupportedModelError(
                    f"{flag} is set in config.json: this is a decoder, and stonnx authors encoders.", hint=_ELSEWHERE
                )

        def size(key: str, default: int) -> int:
            return positive(config, key, keys.defaults.get(key, default))

        heads, width = size(keys.heads, 12), size(keys.width, 768)
        if width % heads:
            raise CheckpointError(f"config.json: {keys.width} {width} is not a multiple of {keys.heads} {heads}.")
        # Every other size is compared with a tensor before anything of that size is made.
        usual_layers = keys.defaults.get(keys.layers, 12)
        layers = _fields(config).positive_int(keys.layers, default=usual_layers, at_most=MOST_LAYERS)
        return cls(
            vocab=size("vocab_size", keys.vocab_default),
            positions=size("max_position_embeddings", 512),
            width=width,
            inner=size(keys.inner, 3072),
            layers=layers,
            heads=heads,
            eps=_fields(config).number("layer_norm_eps", default=1e-12, at_least=0, below=1)
            if keys.fixed_eps is None
            else keys.fixed_eps,
            activation=_activation(config, keys.activation, keys.defaults.get(keys.activation, "gelu")),
        )


def positive(config: Mapping[str, Any], key: str, default: int) -> int:
    """A positive integer of ``config.json``.

    Raises:
        CheckpointError: It is something else.
    """
    return _fields(config).positive_int(key, default=default)


def absolute_positions_only(config: Mapping[str, Any]) -> None:
    """Refuse the relative positions that BERT's relatives had before transformers 5.

    Raises:
        UnsupportedModelError: ``position_embedding_type`` is another than ``absolute``.
    """
    position = config.get("position_embedding_type", "absolute")
    if position != "absolute":
        raise UnsupportedModelError(
            f"position_embedding_type is {position!r}; stonnx authors 'absolute'.",
            hint="Use a model with absolute positions, or keep this one on sentence-transformers.",
        )


def padding_id(config: Mapping[str, Any], sizes: Sizes) -> int:
    """The token id that positions do not count, of families with RoBERTa's positions: ``pad_token_id``, or 1.

    Raises:
        CheckpointError: It is no id, or leaves no position to a token.
    """
    value, below = config.get("pad_token_id", 1), min(sizes.vocab, sizes.positions - 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < below:
        raise _fields(config).wrong("pad_token_id", f"a token id below {below}: positions are counted from it")
    return value


def _fields(config: Mapping[str, Any]) -> Fields:
    return Fields("config.json", config, error=CheckpointError)


def _activation(config: Mapping[str, Any], key: str, default: str) -> Activation:
    name = config.get(key, default)
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise UnsupportedModelError(
            f"{key} is {name!r} in config.json; stonnx authors {', '.join(_ACTIVATIONS)}.", hint=_ELSEWHERE
        )
    return _ACTIVATIONS[name]
