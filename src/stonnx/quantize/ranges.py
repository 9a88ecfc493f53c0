"""How an input becomes uint8: how strongly it is balanced first, and over which range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stonnx.graph.quantized import FixedRange, InputRange, ScalePerToken
from stonnx.quantize.rounding import column_scales
from stonnx.quantize.smoothing import smoothing_multipliers
from stonnx.quantize.splitting import part_counts, split_outliers
from stonnx.quantize.statistics import InputStatistics

__all__ = [
    "Preparation",
    "choose_range",
    "fixed_range",
    "mean_input_error",
    "per_token",
    "refit",
    "unbalanced",
    "weight_energies",
]

_LEVELS = 255
_ZERO_POINTS = range(64, 193, 4)
_ZERO_POINTS_ABOVE = range(1, 128)  # for inputs with hardly anything below 0
_PER_COPY = 64  # one copy at most for each 64 components
_WORTH = 0.85  # splitting must lower the error to this share: copying takes two more operators
_STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_NO_COPIES = np.empty(0, dtype=np.int64)


class Preparation(NamedTuple):
    """What is done to an input before it is multiplied.

    Attributes:
        range: How it becomes uint8; its multipliers balance components and split them.
        copies: From ``split_outliers``.
        error: Mean squared error of a component, the multipliers applied.
    """

    range: InputRange
    copies: NDArray[np.int64]
    error: float


def choose_range(statistics: InputStatistics, matrix: NDArray[np.float32], lower_bound: float | None) -> Preparation:
    """Balance an input, and split its outliers, so that the expected error of the products is smallest.

    Args:
        statistics: The input.
        matrix: All products of it side by side, float32, shape (in, out).
        lower_bound: No component is below, and tokens get ranges of their own; None for one fixed range.
    """
    largest = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))
    weights = _Weights(matrix, largest, weight_energies(matrix))
    options = (option for strength in _STRENGTHS for option in _balanced(statistics, weights, strength, lower_bound))
    found: _Option = min(options, key=lambda option: option.cost)
    return found.preparation


def fixed_range(statistics: InputStatistics, multipliers: NDArray[np.float32] | None) -> FixedRange:
    """The range in which all calibration inputs, and 0, fit into uint8.

    Args:
        statistics: The input, without the multipliers.
        multipliers: What it is multiplied with first.
    """
    low, high = (_times(ends, multipliers) for ends in (statistics.low, statistics.high))
    lowest, highest = min(float(low.min()), 0.0), max(float(high.max()), 0.0)
    scale = (highest - lowest) / _LEVELS or 1.0
    return FixedRange(multipliers=multipliers, scale=scale, zero_point=round(-lowest / scale))


def unbalanced(statistics: InputStatistics, lower_bound: float) -> Preparation:
    """A scale per token, and nothing done to the input before.

    Args:
        statistics: The input.
        lower_bound: No component is below.
    """
    return _scale_per_token(statistics, None, lower_bound)


def per_token(statistics: InputStatistics, multipliers: NDArray[np.float32] | None) -> InputRange:
    """A scale for each token of an input that may be balanced: closer than a fixed range, and dearer to compute.

    Args:
        statistics: The input, without the multipliers.
        multipliers: What it is multiplied with first.
    """
    return _scale_per_token(statistics, multipliers, None).range


def refit(how: InputRange, statistics: InputStatistics) -> InputRange:
    """A range of the same kind and with the same multipliers, for other inputs.

    Args:
        how: The range of several inputs together.
        statistics: One of them, without the multipliers.
    """
    if isinstance(how, FixedRange):
        return fixed_range(statistics, how.multipliers)
    return _scale_per_token(statistics, how.multipliers, how.lower_bound).range


def mean_input_error(statistics: InputStatistics, how: InputRange) -> float:
    """Mean squared error of a quantised component, the multipliers applied: one twelfth of the squared step.

    Args:
        statistics: The input, without the multipliers.
        how: Its range.
    """
    if isinstance(how, FixedRange):
        return how.scale**2 / 12
    low, high = _token_ends(statistics, how.multipliers, how.lower_bound)
    return float(_square_steps(low, high, np.array([how.zero_point]))[0]) / 12


def weight_energies(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Energy of the weights that each component is multiplied with, float64, shape (in,), of a matrix (in, out)."""
    energies: NDArray[np.float64] = np.einsum("ij,ij->i", matrix, matrix).astype(np.float64)
    return energies


class _Weights(NamedTuple):
    """All products of an input side by side, and of each row the largest absolute value and the energy."""

    matrix: NDArray[np.float32]
    largest: NDArray[np.float32]
    energies: NDArray[np.float64]


class _Option(NamedTuple):
    preparation: Preparation
    cost: float


def _balanced(
    statistics: InputStatistics, weights: _Weights, strength: float, lower_bound: float | None
) -> Iterator[_Option]:
    """An input that is balanced that strongly: as it is, and with its outliers split."""
    multipliers = smoothing_multipliers(statistics.largest(), weights.largest, strength=strength)
    if lower_bound is not None:
        multipliers = np.minimum(multipliers, np.float32(1))  # so that the bound holds after them as well
    # A copy lies beside a row without weights, so splitting leaves the scales of the weights as they are.
    scales = column_scales(weights.matrix / multipliers[:, None])
    squared_steps = float(np.square(scales, dtype=np.float64).sum())
    if lower_bound is None:
        # Nothing is split: with its outliers, a fixed range has room for values that calibration did not see.
        how = fixed_range(statistics, multipliers)
        whole = Preparation(how, _NO_COPIES, mean_input_error(statistics, how))
        yield _Option(whole, _expected_error(statistics, weights, whole, squared_steps))
        return
    whole = _scale_per_token(statistics, multipliers, lower_bound)
    yield _Option(whole, _expected_error(statistics, weights, whole, squared_steps))
    levels = np.abs(_times(statistics.sample, multipliers))
    copies = split_outliers(levels, weights.energies / np.square(multipliers), len(multipliers) // _PER_COPY)
    if len(copies):
        parts = part_counts(copies, len(multipliers))
        split = _scale_per_token(statistics, multipliers / parts, lower_bound)._replace(copies=copies)
        yield _Option(split, _expected_error(statistics, weights, split, squared_steps) / _WORTH)


def _expected_error(statistics: InputStatistics, weights: _Weights, found: Preparation, squared_steps: float) -> float:
    """Energy of the products' error, from the scales of inputs and weights, as if weights were just rounded.

    The parts of a component err alike in the input, and each by itself in the weights.
    """
    multipliers = found.range.multipliers
    squares = np.square(1.0 if multipliers is None else multipliers, dtype=np.float64)
    parts = part_counts(found.copies, len(weights.matrix))
    inputs = statistics.tokens * found.error * float((weights.energies / squares).sum())
    return inputs + float((statistics.energies() * squares) @ parts) * squared_steps / 12


def _scale_per_token(
    statistics: InputStatistics, multipliers: NDArray[np.float32] | None, lower_bound: float | None
) -> Preparation:
    """With the zero point that gives the smallest steps."""
    if lower_bound is None:
        zeros = np.array(_ZERO_POINTS)
    else:
        zeros = np.array(_ZERO_POINTS_ABOVE if lower_bound < 0 else range(1))
    squares = _square_steps(*_token_ends(statistics, multipliers, lower_bound), zeros)
    best = int(squares.argmin())
    how = ScalePerToken(multipliers=multipliers, zero_point=int(zeros[best]), lower_bound=lower_bound)
    return Preparation(how, _NO_COPIES, float(squares[best]) / 12)


def _token_ends(
    statistics: InputStatistics, multipliers: NDArray[np.float32] | None, lower_bound: float | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The lowest component of tokens, or what stands in for it, and the highest, float32, both of shape (tokens,)."""
    sample = _times(statistics.sample, multipliers)
    high = sample.max(axis=1)
    return sample.min(axis=1) if lower_bound is None else np.full_like(high, lower_bound), high


def _square_steps(low: NDArray[np.float32], high: NDArray[np.float32], zeros: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean square of the tokens' scales around each zero point, float64, shape (zero points,)."""
    above, below = (_LEVELS - zeros).astype(np.float32), -np.maximum(zeros, 1).astype(np.float32)
    steps = np.maximum(high / above[:, None], low / below[:, None])  # (zero points, tokens)
    squares: NDArray[np.float64] = np.square(steps, dtype=np.float64).mean(axis=1)
    return squares


def _times(values: NDArray[np.float32], multipliers: NDArray[np.float32] | None) -> NDArray[np.float32]:
    return values if multipliers is None else values * multipliers
