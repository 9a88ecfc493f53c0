"""The texts: a natural mix cut into slices, texts of one length, and short ones for the latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import _common

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["LENGTHS", "Texts", "read_texts", "slices_of", "text_of_tokens"]

LENGTHS = (16, 128, 512)
_BLOCK = 32  # neighbours in length that stay together: the batch size of most libraries
_CALIBRATION = 300  # the number of samples that optimum-intel takes by default


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What is encoded.

    Attributes:
        mix: Distinct texts of a corpus, in its order.
        slices: Indices into ``mix``; every peer encodes one slice, then the next peer the same.
        lengths: Texts by number of tokens, special tokens included.
        short: Of about a sentence each, for the latency.
        calibration: Texts of the corpus that are in none of the others.
        tokens: ``mean`` and ``max`` of the mix, cut at the model's limit.
    """

    mix: list[str]
    slices: list[list[int]]
    lengths: dict[int, list[str]]
    short: list[str]
    calibration: list[str]
    tokens: dict[str, float]


def read_texts(corpus: Path, tokenizer: Tokenizer, limit: int, counts: dict[str, int]) -> Texts:
    """Take everything from one corpus.

    Args:
        corpus: A ``.jsonl`` file with a key ``text`` a line.
        tokenizer: The model's, without truncation and padding.
        limit: The model's longest row in tokens.
        counts: ``mix`` texts, ``slices``, ``short`` texts, and tokens per length (``length_tokens``).
    """
    from stonnx._timing import short_texts

    mix = list(_common.read_corpus(corpus, counts["mix"]))
    taken = _common.read_corpus(corpus, counts["mix"] + 20 * _CALIBRATION)[counts["mix"] :]
    rest = list(taken) or mix
    rows = [min(len(encoding.ids), limit) for encoding in tokenizer.encode_batch(mix)]
    return Texts(
        mix=mix,
        slices=slices_of([len(text) for text in mix], counts["slices"]),
        lengths={
            length: [
                text_of_tokens(rest, start, length, tokenizer)
                for start in range(0, 7 * max(1, counts["length_tokens"] // length), 7)
            ]
            for length in LENGTHS
        },
        short=list(short_texts(mix, counts["short"])),
        calibration=rest[-_CALIBRATION:],
        tokens={"mean": sum(rows) / len(rows), "max": max(rows)},
    )


def slices_of(lengths: Sequence[int], count: int) -> list[list[int]]:
    """Cut texts into slices that are alike in their lengths.

    Blocks of 32 neighbours in length are dealt to the slices in turn, so that a library that sorts by length
    pads a slice about as it would pad the whole. Within a slice the texts stand in their old order.

    Args:
        lengths: Of each text.
        count: Slices; fewer where there are fewer blocks.

    Returns:
        Indices of each slice; together each index once.
    """
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    blocks = [order[start : start + _BLOCK] for start in range(0, len(order), _BLOCK)]
    count = max(1, min(count, len(blocks)))
    return [sorted(index for block in blocks[first::count] for index in block) for first in range(count)]


def text_of_tokens(texts: Sequence[str], start: int, length: int, tokenizer: Tokenizer) -> str:
    """A text of exactly ``length`` tokens, special ones included: texts joined from ``start`` on, then cut.

    Raises:
        ValueError: No cut gives that length.
    """
    joined, index = "", start
    while len(tokenizer.encode(joined).ids) < length + 8:
        joined = f"{joined} {texts[index % len(texts)]}".strip()
        index += 1
    for _, end in reversed(tokenizer.encode(joined).offsets[: length + 8]):
        if end and len(tokenizer.encode(joined[:end]).ids) == length:
            return joined[:end]
    raise ValueError(f"no cut of the joined texts has {length} tokens")
