"""The texts that stonnx ships for quantising a model: some to calibrate on, odd ones, others to choose by.

All of them were written for stonnx. They lie in ``texts.json`` and are mixed as real text is:
about half English, a third Chinese and the rest in eight further languages; queries, reviews,
chat, news, law, medicine, code and tables, from one word to some 400 words. None of them is a
probe or a benchmark text, so neither verification nor measurement sees what calibration saw.
"""

from __future__ import annotations

import functools
import json
from importlib import resources

__all__ = ["calibration_edges", "calibration_texts", "selection_edges", "selection_texts"]


def calibration_texts() -> tuple[str, ...]:
    """The texts whose activations set the quantisation scales, always in the same order, none twice."""
    return _read()["calibration"]


def calibration_edges() -> tuple[str, ...]:
    """Odd texts, such as one word hundreds of times: their activations lie outside the ranges of natural text.

    They are calibrated on beside any others, so that nothing is cut off that a text can bring about.
    """
    return _read()["calibration_edges"]


def selection_texts() -> tuple[str, ...]:
    """The texts by which quantised candidates are compared, in the same order; none is a calibration text."""
    return _read()["selection"]


def selection_edges() -> tuple[str, ...]:
    """Odd texts to choose by; none is a calibration text."""
    return _read()["selection_edges"]


@functools.cache
def _read() -> dict[str, tuple[str, ...]]:
    source = resources.files("stonnx.quantize").joinpath("texts.json")
    return {name: tuple(texts) for name, texts in json.loads(source.read_text(encoding="utf-8")).items()}
