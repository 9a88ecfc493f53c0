"""The BERT family (Devlin et al. 2018, arXiv:1810.04805): m3e, bge, gte, e5, MiniLM, text2vec and others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stonnx.graph.architectures.config import ConfigKeys, Sizes, absolute_positions_only, positive
from stonnx.graph.architectures.encoder import PostNormEncoder, usual_prefixes
from stonnx.graph.architectures.post_norm import BERT_LAYERS, PostNorm
from stonnx.graph.architectures.tables import Tables

__all__ = ["read_bert"]

_KEYS = ConfigKeys(vocab_default=30522)


def read_bert(config: Mapping[str, Any]) -> PostNormEncoder:
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
        width=sizes.width,
    )
    return PostNormEncoder(
        prefixes=usual_prefixes("bert"), tables=tables, layers=PostNorm(sizes=sizes, names=BERT_LAYERS)
    )
