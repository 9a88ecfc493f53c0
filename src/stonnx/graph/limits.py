"""How long a token row may be: what a model's files say, and what its architecture has room for."""

from __future__ import annotations

from stonnx.checkpoint.spec import ModelSpec
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["check_padding", "row_limit"]


def row_limit(spec: ModelSpec, positions: int | None) -> int:
    """The longest token row of a model, special tokens included.

    Args:
        spec: The model; its ``max_tokens`` is what the files say.
        positions: Tokens that the architecture has positions for; None where it has no such limit.

    Raises:
        CheckpointError: Neither the files nor the architecture name a limit.
    """
    limits = [limit for limit in (spec.max_tokens, positions) if limit is not None]
    if not limits:
        raise CheckpointError(
            "Neither sentence_bert_config.json, tokenizer_config.json nor config.json limits the length of a text.",
            hint='Set {"max_seq_length": 512}, or the model\'s own limit, in sentence_bert_config.json.',
        )
    return min(limits)


def check_padding(spec: ModelSpec, uncounted: int | None) -> None:
    """Check that padding leaves the vectors alone: on the left it must not move the positions of a text.

    Args:
        spec: The model.
        uncounted: The token id that positions do not count; None where all tokens count.

    Raises:
        UnsupportedModelError: It moves them, so the original gives a text another vector in each batch.
    """
    if spec.padding_side == "left" and spec.pad_id != uncounted:
        raise UnsupportedModelError(
            "The tokenizer has padding_side 'left', which moves the positions of this architecture: "
            "a text's vector depends on the texts beside it.",
            hint="Set padding_side to right in tokenizer_config.json if the model works with it.",
        )
