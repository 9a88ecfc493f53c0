"""Float matrices to int8: plain rounding, and rounding that compensates its own error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FULL_RANGE", "SEVEN_BITS", "RoundedMatrix", "column_scales", "compensated", "nearest"]

FULL_RANGE = 127
"""Largest absolute integer where the processor accumulates without saturation (VNNI, AMX, ARM)."""
SEVEN_BITS = 64
"""Largest absolute integer for AVX2: two products of uint8 with at most 64 stay within an int16."""

_BLOCK = 128

RoundedMatrix = tuple[NDArray[np.int8], NDArray[np.float32]]
"""Integers, int8, shape (in, out), and their scale per column, float32, shape (out,)."""


def column_scales(matrix: NDArray[np.float32], *, limit: int) -> NDArray[np.float32]:
    """The scale of each column: its largest absolute value becomes ``limit``.

    Args:
        matrix: float32, shape (in, out).
        limit: ``FULL_RANGE`` or ``SEVEN_BITS``.

    Returns:
        float32, shape (out,); 1 for a column of zeros.
    """
    largest = np.abs(matrix).max(axis=0)
    scales: NDArray[np.float32] = np.where(largest > 0, largest / np.float32(limit), np.float32(1)).astype(np.float32)
    return scales


def nearest(matrix: NDArray[np.float32], *, limit: int) -> RoundedMatrix:
    """Each element to the nearest integer, one scale per column.

    Args:
        matrix: float32, shape (in, out).
        limit: ``FULL_RANGE`` or ``SEVEN_BITS``.
    """
    scales = column_scales(matrix, limit=limit)
    return np.clip(np.rint(matrix / scales), -limit, limit).astype(np.int8), scales


def compensated(matrix: NDArray[np.float32], factor: NDArray[np.float32], *, limit: int) -> RoundedMatrix:
    """Row by row to integers; what a row loses is made up for by the rows that are still to come.

    GPTQ (Frantar et al. 2022, arXiv:2210.17323), in the order of falling input energy. The scales are those of
    ``nearest``; only the choice of the integers differs.

    Args:
        matrix: float32, shape (in, out).
        factor: From ``compensation_factor`` of the layer's inputs: float32, shape (in, in), rows and columns in
            the order of ``order`` that it was made with, which must be the order of ``matrix``'s rows.
        limit: ``FULL_RANGE`` or ``SEVEN_BITS``.
    """
    scales = column_scales(matrix, limit=limit)
    rows = len(matrix)
    left = matrix.astype(np.float32, copy=True)  # what is still to be rounded
    integers = np.empty(matrix.shape, dtype=np.int8)
    for start in range(0, rows, _BLOCK):
        stop = min(start + _BLOCK, rows)
        errors = np.empty((stop - start, matrix.shape[1]), dtype=np.float32)
        for row in range(start, stop):
            rounded = np.clip(np.rint(left[row] / scales), -limit, limit)
            integers[row] = rounded
            error = (left[row] - rounded * scales) / factor[row, row]
            left[row + 1 : stop] -= factor[row, row + 1 : stop, None] * error
            errors[row - start] = error
        left[stop:] -= factor[start:stop, stop:].T @ errors
    return integers, scales
