"""How an input becomes uint8: how strongly it is balanced first, and over which range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stonnx.graph.quantized import FixedRange, InputRange, ScalePerToken
from stonnx.quantize.rounding import column_scales
from stonnx.quantize.smoothing import smoothing_multipliers
from stonnx.quantize.splitting import lay_out, part_counts, split_outliers
from stonnx.quantize.statistics import InputStatistics

__all__ = ["Preparation", "choose_range", "fixed_range", "mean_input_error", "per_token", "refit", "unbalanced"]

_LEVELS = 255
_ZERO_POINTS = range(64, 193, 4)
_ZERO_POINTS_ABOVE = range(1, 128)  # for inputs with hardly anything below 0
_PER_COPY = 64  # one copy at most for each 64 components
_WORTH = 0.85  # splitting must lower the error to this share: copying takes two more operators
_STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Preparation(NamedTuple):
    """What is done to an input before it is multiplied.

    Attributes:
        range: How it becomes uint8; its multipliers balance components and split them.
        copies: From ``split_outliers``.
    """

    range: InputRange
    copies: NDArray[np.int64]


def choose_range(
    statistics: InputStatistics, matrices: Sequence[NDArray[np.float32]], lower_bound: float | None
) -> Preparation:
    """Balance an input, and split its outliers, so that the expected error of the products is smallest.

    Args:
        statistics: The input.
        matrices: All products of it, float32, each of shape (in, out).
        lower_bound: No component is below, and tokens get ranges of their own; None for one fixed range.
    """
    # In a fixed range nothing is split: with its outliers it has room for values that calibration did not see.
    budgets = (0,) if lower_bound is None else (0, len(statistics.low) // _PER_COPY)

    def cost(found: Preparation) -> float:
        error = _expected_error(statistics, matrices, found)
        return error / _WORTH if len(found.copies) else error

    candidates = (
        _prepare(statistics, matrices, strength, lower_bound, budget) for budget in budgets for strength in _STRENGTHS
    )
    return min(candidates, key=cost)


def fixed_range(statistics: InputStatistics, multipliers: NDArray[np.float32] | None) -> FixedRange:
    """The range in which all calibration inputs, and 0, fit into uint8.

    Args:
        statistics: The input, ``multipliers`` applied.
        multipliers: What goes into the result.
    """
    low, high = min(float(statistics.low.min()), 0.0), max(float(statistics.high.max()), 0.0)
    scale = (high - low) / _LEVELS or 1.0
    return FixedRange(multipliers=multipliers, scale=scale, zero_point=round(-low / scale))


def unbalanced(statistics: InputStatistics, lower_bound: float) -> Preparation:
    """A scale per token, and nothing done to the input before.

    Args:
        statistics: The input.
        lower_bound: No component is below.
    """
    return Preparation(_scale_per_token(statistics, None, lower_bound), np.empty(0, dtype=np.int64))


def per_token(statistics: InputStatistics, multipliers: NDArray[np.float32] | None) -> ScalePerToken:
    """A scale for each token of an input that may be balanced: closer than a fixed range, and dearer to compute.

    Args:
        statistics: The input, without the multipliers.
        multipliers: What goes into the result.
    """
    scaled = statistics if multipliers is None else statistics.scaled(multipliers)
    return _scale_per_token(scaled, multipliers, None)


def refit(how: InputRange, statistics: InputStatistics) -> InputRange:
    """A range of the same kind and with the same multipliers, for other inputs.

    Args:
        how: The range of several inputs together.
        statistics: One of them, without the multipliers.
    """
    scaled = statistics if how.multipliers is None else statistics.scaled(how.multipliers)
    if isinstance(how, FixedRange):
        return fixed_range(scaled, how.multipliers)
    return _scale_per_token(scaled, how.multipliers, how.lower_bound)


def _scale_per_token(
    statistics: InputStatistics, multipliers: NDArray[np.float32] | None, lower_bound: float | None
) -> ScalePerToken:
    """With the zero point that gives the smallest scale, ``multipliers`` applied to the statistics."""
    low, high = statistics.sample.min(axis=1), statistics.sample.max(axis=1)
    if lower_bound is None:
        zeros = _ZERO_POINTS
    else:
        zeros = _ZERO_POINTS_ABOVE if lower_bound < 0 else range(1)
    options = (ScalePerToken(multipliers=multipliers, zero_point=zero, lower_bound=lower_bound) for zero in zeros)
    return min(options, key=lambda option: _mean_square(_token_steps(low, high, option)))


def mean_input_error(statistics: InputStatistics, how: InputRange) -> float:
    """Mean squared error of a quantised component: one twelfth of the squared step.

    Args:
        statistics: The input, multipliers applied.
        how: Its range.
    """
    if isinstance(how, FixedRange):
        return how.scale**2 / 12
    low, high = statistics.sample.min(axis=1), statistics.sample.max(axis=1)
    return _mean_square(_token_steps(low, high, how)) / 12


def _token_steps(low: NDArray[np.float32], high: NDArray[np.float32], how: ScalePerToken) -> NDArray[np.float32]:
    """The scale of tokens from their lowest and highest components, float32, shape (tokens,)."""
    below = low if how.lower_bound is None else np.float32(how.lower_bound)
    steps: NDArray[np.float32] = np.maximum(high / (_LEVELS - how.zero_point), below / -max(how.zero_point, 1))
    return steps


def _mean_square(values: NDArray[np.float32]) -> float:
    return float(np.square(values, dtype=np.float64).mean())


def _prepare(
    statistics: InputStatistics,
    matrices: Sequence[NDArray[np.float32]],
    strength: float,
    lower_bound: float | None,
    budget: int,
) -> Preparation:
    multipliers = smoothing_multipliers(statistics.largest(), matrices, strength=strength)
    if lower_bound is None:
        return Preparation(fixed_range(statistics.scaled(multipliers), multipliers), np.empty(0, dtype=np.int64))
    multipliers = np.minimum(multipliers, np.float32(1))  # so that the bound holds after them as well
    energy = np.sum([np.square(matrix).sum(axis=1) for matrix in matrices], axis=0) / np.square(multipliers)
    copies = split_outliers(np.abs(statistics.sample) * multipliers, energy, budget)
    multipliers = multipliers / part_counts(copies, len(multipliers))
    return Preparation(_scale_per_token(statistics.scaled(multipliers), multipliers, lower_bound), copies)


def _expected_error(statistics: InputStatistics, matrices: Sequence[NDArray[np.float32]], found: Preparation) -> float:
    """Energy of the products' error, from the scales of inputs and weights, as if weights were just rounded.

    The parts of a component err alike in the input, and each by itself in the weights.
    """
    how = found.range
    multipliers = np.ones(len(statistics.low), dtype=np.float32) if how.multipliers is None else how.multipliers
    scaled = statistics.scaled(multipliers)
    parts = part_counts(found.copies, len(multipliers))
    rows, shares = lay_out(found.copies, len(multipliers))
    inputs = statistics.tokens * mean_input_error(scaled, how)
    energy = float(np.diag(scaled.energy) @ parts)
    error = 0.0
    for matrix in matrices:
        balanced = matrix / multipliers[:, None]
        steps = column_scales(balanced[rows] * shares[:, None])
        error += inputs * float(np.square(balanced, dtype=np.float64).sum())
        error += energy * float(np.square(steps, dtype=np.float64).sum()) / 12
    return error
