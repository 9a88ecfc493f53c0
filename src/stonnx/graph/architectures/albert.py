"""ALBERT (Lan et al. 2019, arXiv:1909.11942): narrow tables, and layers that share their weights in groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stonnx.errors import CheckpointError
from stonnx.graph.architectures.config import MOST_LAYERS, ConfigKeys, Sizes, absolute_positions_only, positive
from stonnx.graph.architectures.encoder import PostNormEncoder, usual_prefixes
from stonnx.graph.architectures.post_norm import LayerNames, PostNorm
from stonnx.graph.architectures.tables import Tables

__all__ = ["read_albert"]

_KEYS = ConfigKeys(
    vocab_default=30000,
    defaults={
        "hidden_size": 4096,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "hidden_act": "gelu_new",
    },
)
_NAMES = LayerNames(
    query="attention.query",
    key="attention.key",
    value="attention.value",
    projection="attention.dense",
    attention_norm="attention.LayerNorm",
    inner="ffn",
    outer="ffn_output",
    norm="full_layer_layer_norm",
)
_PROJECTION = "encoder.embedding_hidden_mapping_in"


def read_albert(config: Mapping[str, Any]) -> PostNormEncoder:
    """Check ``config.json`` and take what the graph needs.

    Raises:
        CheckpointError: A value is missing or senseless.
        UnsupportedModelError: An option that is not authored.
    """
    absolute_positions_only(config)
    sizes = Sizes.read(config, _KEYS)
    tables = Tables(
        sizes=sizes,
        token_types=positive(config, "type_vocab_size", 2),
        width=positive(config, "embedding_size", 128),
        projection=(_PROJECTION, sizes.width),
    )
    layers = PostNorm(sizes=sizes, names=_NAMES, roots=_roots(config, sizes.layers), mapped_embeddings=True)
    return PostNormEncoder(prefixes=usual_prefixes("albert"), tables=tables, layers=layers)


def _roots(config: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Where each layer's weights are: each of ``count`` runs through all layers of its group."""
    groups, inner = positive(config, "num_hidden_groups", 1), positive(config, "inner_group_num", 1)
    if groups > count or inner * count > MOST_LAYERS:
        raise CheckpointError(
            f"config.json: num_hidden_groups is {groups} and inner_group_num is {inner}; expected at most as many "
            f"groups as there are layers, {count}, and at most {MOST_LAYERS} layers in all."
        )
    return tuple(
        # The group as transformers computes it, rounding included.
        f"encoder.albert_layer_groups.{int(number / (count / groups))}.albert_layers.{part}."
        for number in range(count)
        for part in range(inner)
    )
