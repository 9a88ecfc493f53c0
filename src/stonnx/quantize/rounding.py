"""Float matrices to int8: the scales, and rounding that compensates its own error.

The integers are chosen so that every processor multiplies them exactly. VNNI, AMX and Arm's dot products add products
of two bytes in 32 bits. AVX2, AVX-512 without VNNI and SSE first add two products in an int16: those of the rows 2k and
2k + 1 of a matrix. An input is at most 255, so the two weights of such a pair may add up to at most 128, or to -128.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "LARGEST_PAIR", "RoundedMatrix", "column_scales", "compensated"]

LARGEST = 127
"""Largest absolute integer."""
LARGEST_PAIR = 128
"""Largest absolute sum of two integers of a column that lie in the rows 2k and 2k + 1: 255 * 128 < 2 ** 15."""

_BLOCK = 128

RoundedMatrix = tuple[NDArray[np.int8], NDArray[np.float32]]
"""Integers, int8, shape (in, out), and their scale per column, float32, shape (out,)."""


def column_scales(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The smallest scale of each column with which its values and its pairs of rows fit.

    Args:
        matrix: float32, shape (in, out).

    Returns:
        float32, shape (out,); 1 for a column of zeros.
    """
    pairs = len(matrix) // 2 * 2
    sums = np.abs(matrix[0:pairs:2] + matrix[1:pairs:2]).max(axis=0, initial=0)
    largest = np.maximum(np.abs(matrix).max(axis=0) / np.float32(LARGEST), sums / np.float32(LARGEST_PAIR))
    scales: NDArray[np.float32] = np.where(largest > 0, largest, np.float32(1)).astype(np.float32)
    return scales


def compensated(matrix: NDArray[np.float32], order: NDArray[np.int64], factor: NDArray[np.float32]) -> RoundedMatrix:
    """Round a matrix row by row; the rows that are not rounded yet make up for what a row loses.

    GPTQ (Frantar et al. 2022, arXiv:2210.17323), from the largest input energy to the smallest. With a diagonal factor
    there is nothing to make up for, and each value goes to the nearest integer.

    Args:
        matrix: float32, shape (in, out).
        order: The rows in the order of rounding, int64, shape (in,), from ``compensation_factor``.
        factor: From the same, float32, shape (in, in), its rows and columns in that order.
    """
    scales = column_scales(matrix)
    rows = len(matrix)
    left = matrix[order]  # what is still to be rounded
    integers = np.zeros(matrix.shape, dtype=np.int8)
    for start in range(0, rows, _BLOCK):
        stop = min(start + _BLOCK, rows)
        errors = np.empty((stop - start, matrix.shape[1]), dtype=np.float32)
        for row in range(start, stop):
            rounded = _fitting(left[row] / scales, integers, int(order[row]))
            integers[order[row]] = rounded
            error = (left[row] - rounded * scales) / factor[row, row]
            left[row + 1 : stop] -= factor[row, row + 1 : stop, None] * error
            errors[row - start] = error
        left[stop:] -= factor[start:stop, stop:].T @ errors
    return integers, scales


def _fitting(values: NDArray[np.float32], integers: NDArray[np.int8], row: int) -> NDArray[np.float32]:
    """The nearest integers for a row that still fit together with the other row of its pair, if that is rounded."""
    other = row ^ 1
    beside = integers[other].astype(np.float32) if other < len(integers) else np.float32(0)
    lowest = np.maximum(-LARGEST, -LARGEST_PAIR - beside)
    highest = np.minimum(LARGEST, LARGEST_PAIR - beside)
    return np.clip(np.rint(values), lowest, highest).astype(np.float32)
