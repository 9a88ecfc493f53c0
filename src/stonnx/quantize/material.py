"""What a model is quantised with: rows to calibrate on, rows to choose by, and the yardstick for these.

For example::

    material = make_material(spec, tokenizer, texts=None)
    quantize(workspace, material, targets=(("high", "balanced"),))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stonnx.checkpoint import ModelSpec
from stonnx.quantize.pairs import calibration_pairs, held_out_pairs
from stonnx.quantize.texts import calibration_edges, calibration_texts, selection_edges, selection_texts
from stonnx.quantize.yardsticks import EmbeddingYardstick, ScoreYardstick, Yardstick
from stonnx.runtime.token_rows import TokenRows
from stonnx.runtime.tokenize import TextTokenizer

__all__ = ["MOST_TOKENS", "Material", "calibration_step", "make_material"]

MOST_TOKENS = 100_000
"""Tokens of the user's to calibrate on at most: the hidden states of all are in memory at once, which is 4 bytes a
component (at width 768, 300 MB). The shipped texts have about a tenth."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """Token rows, and how to judge by them.

    Attributes:
        calibration: Rows whose statistics fix ranges, balance and rounding.
        held_out: Rows that decide how closely each projection is computed, and that calibration does not see.
        yardstick: Holds the results of a quantised graph for these against those of the float32 graph.
    """

    calibration: TokenRows
    held_out: TokenRows
    yardstick: Yardstick


def make_material(spec: ModelSpec, tokenizer: TextTokenizer, *, texts: Sequence[str] | None) -> Material:
    """The rows for a model: texts, or pairs for a reranker.

    Args:
        spec: The model.
        tokenizer: Its tokenizer.
        texts: Natural texts to calibrate on; None for the shipped ones. Of very many, some: see ``calibration_step``.
            Odd ones are always calibrated on as well.
    """
    natural, edges = calibration_texts(), calibration_edges()
    if texts is not None:
        natural = tuple(texts[:: calibration_step(tokenizer, texts)])
    if spec.classification is None:
        return Material(
            calibration=tokenizer.rows((*natural, *edges)),
            held_out=tokenizer.rows((*selection_texts(), *selection_edges())),
            yardstick=EmbeddingYardstick(natural=len(selection_texts())),
        )
    held_out = held_out_pairs()
    queries = tuple(query for query, _ in held_out.natural)
    return Material(
        calibration=tokenizer.pair_rows(calibration_pairs(natural, edges)),
        held_out=tokenizer.pair_rows((*held_out.natural, *held_out.odd)),
        yardstick=ScoreYardstick(queries=queries, activation=spec.classification.activation),
    )


def calibration_step(tokenizer: TextTokenizer, texts: Sequence[str]) -> int:
    """Which of the texts are calibrated on: every so many in their order, so that it is about ``MOST_TOKENS`` tokens.

    Args:
        tokenizer: The model's tokenizer.
        texts: The user's texts.

    Returns:
        1 for all of them.
    """
    return max(1, -(-len(tokenizer.rows(texts).ids) // MOST_TOKENS))
