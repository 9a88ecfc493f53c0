"""Whether the two sides of a benchmark compute the same: a speed-up of something else would show here."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stonnx._timing import Item
from stonnx.bench.sides import Sides
from stonnx.errors import UsageError
from stonnx.runtime.probabilities import probabilities

__all__ = ["largest_score_diff", "lowest_cosine"]

_LOG = logging.getLogger(__name__)

_FAR_COSINE = 0.99
_FAR_PROBABILITY = 0.1


def lowest_cosine(sides: Sides, texts: Sequence[Item]) -> float:
    """The lowest cosine between the two sides' vectors of a text; logs a warning where they differ visibly.

    Raises:
        UsageError: The two sides' vectors differ in length: they are not the same model.
    """
    a, b = (_unit_rows(vectors) for vectors in _both(sides, texts, what="components"))
    lowest = float((a * b).sum(axis=1).min())
    if lowest < _FAR_COSINE:
        _LOG.warning("The two sides differ: lowest cosine %.4f. Is it the model of the artifact?", lowest)
    return lowest


def largest_score_diff(sides: Sides, pairs: Sequence[Item], *, activation: str) -> float:
    """The largest difference of a pair's probability between the two sides; logs a warning where it is visible.

    Args:
        sides: Both sides.
        pairs: What they score.
        activation: The model's, a class name of ``torch.nn``; it says what several labels mean
            (``stonnx.runtime.probabilities``).

    Raises:
        UsageError: The two sides have different numbers of labels: they are not the same model.
    """
    a, b = (probabilities(logits, activation) for logits in _both(sides, pairs, what="labels"))
    largest = float(np.abs(a - b).max())
    if largest > _FAR_PROBABILITY:
        _LOG.warning("The two sides differ: a score by %.4f. Is it the model of the artifact?", largest)
    return largest


def _both(sides: Sides, items: Sequence[Item], *, what: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The results of both sides, of one shape."""
    a, b = sides.a.results(items), sides.b.results(items)
    if a.shape != b.shape:
        raise UsageError(
            f"{sides.a.name} gives {a.shape[1]} {what}, {sides.b.name} {b.shape[1]}: they are not the same model.",
            hint="Name the model that the artifact was converted from.",
        )
    return a, b


def _unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    norms: NDArray[np.float64] = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.maximum(norms, 1e-12)
