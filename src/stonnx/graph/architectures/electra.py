"""ELECTRA (Clark et al. 2020, arXiv:2003.10555): BERT whose tables may be narrower than its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stonnx.graph.architectures.config import ConfigKeys, Sizes, absolute_positions_only, positive
from stonnx.graph.architectures.encoder import PostNormEncoder, usual_prefixes
from stonnx.graph.architectures.post_norm import BERT_LAYERS, PostNorm
from stonnx.graph.architectures.tables import Tables

__all__ = ["read_electra"]

_KEYS = ConfigKeys(
    vocab_default=30522,
    defaults={"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024},
)
_PROJECTION = "embeddings_project"


def read_electra(config: Mapping[str, Any]) -> PostNormEncoder:
    """Check ``config.json`` and take what the graph needs.

    Raises:
        CheckpointError: A value is missing or senseless.
        UnsupportedModelError: An option that is not authored.
    """
    absolute_positions_only(config)
    sizes = Sizes.read(config, _KEYS)
    width = positive(config, "embedding_size", 128)
    layers = PostNorm(sizes=sizes, names=BERT_LAYERS, mapped_embeddings=width != sizes.width)
    tables = Tables(
        sizes=sizes,
        token_types=positive(config, "type_vocab_size", 2),
        width=width,
        projection=None if width == sizes.width else (_PROJECTION, sizes.width),
    )
    return PostNormEncoder(prefixes=usual_prefixes("electra"), tables=tables, layers=layers)
