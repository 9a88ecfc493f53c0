"""Two numbers of a tokenizer: how long a token row may be, and what fills it up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stonnx.checkpoint.sentence_config import SentenceConfig
from stonnx.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["max_tokens", "pad_id"]


def max_tokens(sentence: SentenceConfig, config: Mapping[str, Any], positions: object) -> int | None:
    """Longest token row, special tokens included, as sentence-transformers takes it from the files.

    Args:
        sentence: The Sentence Transformers settings; their ``max_seq_length`` comes first.
        config: ``tokenizer_config.json``; its ``model_max_length`` comes next.
        positions: ``max_position_embeddings`` of ``config.json``, the limit of both; None where it names none.

    Returns:
        The limit; None where no file names one.

    Raises:
        CheckpointError: A limit is not a positive number.
    """
    explicit = sentence.max_tokens
    if explicit is None or "model_max_length" in sentence.tokenizer_options:
        wanted = config.get("model_max_length", config.get("max_len"))
    else:
        wanted = explicit
    named = (("model_max_length", wanted), ("max_position_embeddings", positions))
    return min((limit for name, value in named if (limit := _limit(name, value)) is not None), default=None)


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
