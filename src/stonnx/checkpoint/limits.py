"""Two numbers of a tokenizer: how long a token row may be, and what fills it up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stonnx.checkpoint.sentence_config import SentenceConfig
from stonnx.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["DEFAULT_POSITIONS", "MPNET_PADDING_ID", "max_tokens", "pad_id", "usable_positions"]

MPNET_PADDING_ID = 1
"""Fixed in transformers' MPNetEmbeddings, whatever config.json says; the first token's position is the next one."""


DEFAULT_POSITIONS = 512
"""Rows of the position table where ``config.json`` does not name them: the default of transformers' configurations."""
_FAMILIES = ("bert", "mpnet")


def max_tokens(sentence: SentenceConfig, config: Mapping[str, Any], positions: object, notes: list[str]) -> int:
    """Longest token row, special tokens included, as sentence-transformers would use.

    Args:
        sentence: The Sentence Transformers settings; their ``max_seq_length`` comes first.
        config: ``tokenizer_config.json``; its ``model_max_length`` comes next.
        positions: ``max_position_embeddings`` of the model, the limit of both; None where it names none.
        notes: Receives a sentence when the positions are fewer than ``max_seq_length``.

    Raises:
        CheckpointError: No file names a limit, or a limit is not a positive number.
    """
    explicit = sentence.max_tokens
    if explicit is None or "model_max_length" in sentence.tokenizer_options:
        wanted = config.get("model_max_length", config.get("max_len"))
    else:
        wanted = explicit
    named = (("model_max_length", wanted), ("max_position_embeddings", positions))
    limits = [limit for name, value in named if (limit := _limit(name, value)) is not None]
    if not limits:
        raise CheckpointError(
            "Neither sentence_bert_config.json, tokenizer_config.json nor config.json limits the length of a text.",
            hint='Set {"max_seq_length": 512}, or the model\'s own limit, in sentence_bert_config.json.',
        )
    if explicit is not None and min(limits) < explicit:
        notes.append(f"max_seq_length is {explicit}, but the model has {min(limits)} positions: texts are cut there.")
    return min(limits)


def usable_positions(config: Mapping[str, Any]) -> object:
    """How many tokens the position table of a model has room for; what ``config.json`` says where that is no number.

    The table has as many rows as ``config.json`` says, or transformers' default: authoring compares them.

    MPNet counts positions as RoBERTa does, from behind that of padding, so the table has two rows that no token gets.
    sentence-transformers does not know it, and fails on longer texts.

    Args:
        config: The transformer's ``config.json``.
    """
    family, unused = config.get("model_type"), MPNET_PADDING_ID + 1
    positions = config.get("max_position_embeddings", DEFAULT_POSITIONS if family in _FAMILIES else None)
    if family != "mpnet" or not isinstance(positions, int) or positions <= unused:
        return positions
    return positions - unused


def _limit(name: str, value: object) -> int | None:
    # Some files spell "no limit" as 1e30, a float; some configs as -1.
    if value is None or (name == "max_position_embeddings" and value == -1):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, float) and 1 <= value < math.inf:
        return int(value)
    raise CheckpointError(f"{name} is {value!r}; expected a positive whole number.")


def pad_id(tokenizer: Tokenizer, token: str, fallback: object, notes: list[str]) -> int:
    """Id of the padding token.

    Padding is masked, so any valid id gives the same vectors; ``fallback`` (``pad_token_id`` of the
    model) or 0 serves where the tokenizer has no padding token.
    """
    index = tokenizer.token_to_id(token)
    if index is not None:
        return int(index)
    chosen = fallback if isinstance(fallback, int) and not isinstance(fallback, bool) and fallback >= 0 else 0
    notes.append(f"The tokenizer has no padding token {token!r}; id {chosen} pads.")
    return chosen
