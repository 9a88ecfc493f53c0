"""The texts of the realistic protocol: distinct, of naturally mixed lengths, of our own writing.

``texts.json`` is written by ``benchmarks/make_texts.py`` and shipped, so that a benchmark needs
no data set and no network. Lengths are log-normal: the English texts have 38 WordPiece
tokens on average (4 to 247), the Chinese ones 59 (4 to 399), [CLS] and [SEP] included.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Literal

from stonnx.errors import UsageError

__all__ = ["bench_texts"]


def bench_texts(language: Literal["en", "zh"]) -> tuple[str, ...]:
    """The shipped texts of one language, always in the same shuffled order, none twice.

    Args:
        language: ``"en"`` for 400 English texts, ``"zh"`` for 200 Chinese ones.

    Raises:
        UsageError: There are no texts of that language.
    """
    texts = _read()
    if language not in texts:
        raise UsageError(
            f"There are no benchmark texts in {language!r}; there are {', '.join(texts)}.",
            hint="Bring your own texts.",
        )
    return texts[language]


@functools.cache
def _read() -> dict[str, tuple[str, ...]]:
    source = resources.files("stonnx.bench").joinpath("texts.json")
    return {language: tuple(texts) for language, texts in json.loads(source.read_text(encoding="utf-8")).items()}
