"""DistilBERT (Sanh et al. 2019, arXiv:1910.01108): BERT without token types, under other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stonnx.errors import CheckpointError
from stonnx.graph.architectures.config import ConfigKeys, Sizes
from stonnx.graph.architectures.encoder import PostNormEncoder, usual_prefixes
from stonnx.graph.architectures.post_norm import LayerNames, PostNorm
from stonnx.graph.architectures.tables import Tables

__all__ = ["read_distilbert"]

_KEYS = ConfigKeys(
    vocab_default=30522,
    width="dim",
    inner="hidden_dim",
    layers="n_layers",
    heads="n_heads",
    activation="activation",
    defaults={"n_layers": 6},
    fixed_eps=1e-12,
)
_SYNONYMS = {"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}
_NAMES = LayerNames(
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    projection="attention.out_lin",
    attention_norm="sa_layer_norm",
    inner="ffn.lin1",
    outer="ffn.lin2",
    norm="output_layer_norm",
)


def read_distilbert(config: Mapping[str, Any]) -> PostNormEncoder:
    """Check ``config.json`` and take what the graph needs.

    Sinusoidal positions (``sinusoidal_pos_embds``) are stored in the checkpoint as learned ones are.

    Raises:
        CheckpointError: A value is missing or senseless, or two names of a value disagree.
        UnsupportedModelError: An option that is not authored.
    """
    sizes = Sizes.read(_own_names(config), _KEYS)
    tables = Tables(sizes=sizes, token_types=0, width=sizes.width)
    layers = PostNorm(
        sizes=sizes, names=_NAMES, roots=tuple(f"transformer.layer.{number}." for number in range(sizes.layers))
    )
    return PostNormEncoder(prefixes=usual_prefixes("distilbert"), tables=tables, layers=layers)


def _own_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with BERT's names of a value, which transformers takes too, replaced by DistilBERT's."""
    found = dict(config)
    for synonym, key in _SYNONYMS.items():
        if synonym in config and config.get(key, config[synonym]) != config[synonym]:
            raise CheckpointError(
                f"config.json: {key} is {config[key]!r} and {synonym} is {config[synonym]!r}; they are one value."
            )
        if synonym in config:
            found[key] = config[synonym]
    return found
