"""Which texts a benchmark encodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from stonnx.artifact import Artifact
from stonnx.errors import UsageError

__all__ = ["CLASSIC_TEXT", "checked_texts", "text_language", "vocabulary_language"]

CLASSIC_TEXT = "今天是周五啦，明天就是周末啦，开心，开心，开心"
"""The sentence of the first tutorials on accelerating sentence transformers."""

_CHINESE_SHARE = 0.3  # Chinese BERTs have about 0.7, multilingual vocabularies at most 0.1, English ones 0.02
_CJK_TOKEN = re.compile(r"(##|▁)?[\u3400-\u4dbf\u4e00-\u9fff]+")


def checked_texts(texts: Sequence[str]) -> tuple[str, ...]:
    """The distinct texts, in order: a repeated text would let a side gain by remembering it.

    Raises:
        UsageError: A single str was given, something in it is no str, or there is no text.
    """
    if isinstance(texts, str):
        raise UsageError("texts is one str; expected a list of str.")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise UsageError(f"texts[{index}] is {type(text).__name__}; expected str.")
    if not texts:
        raise UsageError("There is no text to encode.", hint="Give at least one text, or none for the shipped ones.")
    return tuple(dict.fromkeys(texts))


def text_language(artifact: Artifact) -> Literal["en", "zh"]:
    """The language of the shipped texts that suit the artifact's tokenizer.

    Raises:
        ArtifactError: The tokenizer's path leaves the folder.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(artifact.file(artifact.manifest.tower.tokenizer.file)))
    return vocabulary_language(tokenizer.get_vocab())


def vocabulary_language(tokens: Iterable[str]) -> Literal["en", "zh"]:
    """``zh`` where at least 30 % of a vocabulary are Chinese characters or words, else ``en``."""
    names = list(tokens)
    chinese = sum(1 for name in names if _CJK_TOKEN.fullmatch(name))
    return "zh" if names and chinese / len(names) >= _CHINESE_SHARE else "en"
