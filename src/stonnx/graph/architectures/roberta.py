"""RoBERTa (Liu et al. 2019, arXiv:1907.11692), XLM-RoBERTa (arXiv:1911.02116) and CamemBERT (arXiv:1911.03894).

BERT with positions that count real tokens only, from the id of padding on: multilingual-e5, bge-m3,
paraphrase-multilingual-mpnet, all-distilroberta and others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stonnx.graph.architectures.config import ConfigKeys, Sizes, absolute_positions_only, padding_id, positive
from stonnx.graph.architectures.encoder import PostNormEncoder, usual_prefixes
from stonnx.graph.architectures.post_norm import BERT_LAYERS, PostNorm
from stonnx.graph.architectures.tables import Tables

__all__ = ["read_roberta", "read_xlm_roberta"]

_ROBERTA = ConfigKeys(vocab_default=50265)
_XLM_ROBERTA = ConfigKeys(vocab_default=30522)  # what transformers has, though no checkpoint has so few


def read_roberta(config: Mapping[str, Any]) -> PostNormEncoder:
    """Check RoBERTa's ``config.json`` and take what the graph needs.

    Raises:
        CheckpointError: A value is missing or senseless.
        UnsupportedModelError: An option that is not authored.
    """
    return _read(config, _ROBERTA)


def read_xlm_roberta(config: Mapping[str, Any]) -> PostNormEncoder:
    """The same for XLM-RoBERTa and CamemBERT, whose configurations have other defaults.

    Raises:
        CheckpointError: A value is missing or senseless.
        UnsupportedModelError: An option that is not authored.
    """
    return _read(config, _XLM_ROBERTA)


def _read(config: Mapping[str, Any], keys: ConfigKeys) -> PostNormEncoder:
    absolute_positions_only(config)
    sizes = Sizes.read(config, keys)
    tables = Tables(
        sizes=sizes,
        token_types=positive(config, "type_vocab_size", 2),
        width=sizes.width,
        padding_id=padding_id(config, sizes),
    )
    return PostNormEncoder(
        prefixes=usual_prefixes("roberta"), tables=tables, layers=PostNorm(sizes=sizes, names=BERT_LAYERS)
    )
