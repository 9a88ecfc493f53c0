"""Float matrices to int8: the scales, and rounding that compensates its own error.

The integers are such that every processor multiplies them exactly. VNNI, AMX and Arm's dot products add products of
eight bits in 32. AVX2, AVX-512 without VNNI and SSE add two products of unsigned and signed bytes in an int16 first:
those of the rows 2k and 2k + 1 of a matrix. Times 255, two weights may come to 128 there, and to -128.
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
    """Row by row to integers; what a row loses is made up for by the rows that are still to come.

    GPTQ (Frantar et al. 2022, arXiv:2210.17323), in the order of falling input energy. With a factor that is diagonal
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
    """The nearest integers that fit into a row beside the one that it is added to, 0 where that is still to come."""
    other = row ^ 1
    beside = integers[other].astype(np.float32) if other < len(integers) else np.float32(0)
    lowest = np.maximum(-LARGEST, -LARGEST_PAIR - beside)
    highest = np.minimum(LARGEST, LARGEST_PAIR - beside)
    return np.clip(np.rint(values), lowest, highest).astype(np.float32)
