"""Float matrices to int8: the scales, and rounding that compensates its own error.

The integers are chosen so that every processor multiplies them exactly. VNNI, AMX and Arm's dot products add products
of two bytes in 32 bits. AVX2, AVX-512 without VNNI and SSE first add two products in an int16: those of the rows 2k and
2k + 1 of a matrix. An input is at most 255, so the two weights of such a pair may add up to at most 128, or to -128.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stonnx.quantize.statistics import Compensation

__all__ = ["LARGEST", "LARGEST_PAIR", "RoundedMatrix", "column_scales", "compensated"]

LARGEST = 127
"""Largest absolute integer."""
LARGEST_PAIR = 128
"""Largest absolute sum of two integers of a column that lie in the rows 2k and 2k + 1: 255 * 128 < 2 ** 15."""

_BLOCK = 96  # rows: the errors before a block reach it in one product, those within it row by row


class RoundedMatrix(NamedTuple):
    """``matrix ≈ values * scales``.

    Attributes:
        values: Integers, int8, shape (in, out).
        scales: One per column, float32, shape (out,).
        error: ‖X (matrix - values * scales)‖², X being the inputs that the compensation was made of.
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float32]
    error: float


def column_scales(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The smallest scale of each column with which its values and its pairs of rows fit.

    Args:
        matrix: float32, shape (in, out).

    Returns:
        float32, shape (out,); 1 for a column of zeros.
    """
    pairs = len(matrix) // 2 * 2
    single = np.maximum(matrix.max(axis=0), -matrix.min(axis=0))
    sums = matrix[0:pairs:2] + matrix[1:pairs:2]
    double = np.maximum(sums.max(axis=0, initial=0), -sums.min(axis=0, initial=0))
    largest = np.maximum(single / np.float32(LARGEST), double / np.float32(LARGEST_PAIR))
    scales: NDArray[np.float32] = np.where(largest > 0, largest, np.float32(1)).astype(np.float32)
    return scales


def compensated(matrix: NDArray[np.float32], compensation: Compensation) -> RoundedMatrix:
    """Round a matrix row by row; each row makes up for what the rows before it have lost.

    GPTQ (Frantar et al. 2022, arXiv:2210.17323) in the form of Babai's nearest plane (Chen et al. 2025,
    arXiv:2507.18553), which takes no inverse: the energy of the products' error is the sum of
    ``pivots[i] * (target[i] - integers[i])²``, where the target of a row is its value and what the errors of the rows
    before it come to there. So every row goes to the integers nearest to its target.

    Args:
        matrix: float32, shape (in, out).
        compensation: What the inputs ask for, from ``compensate_for``; with ``no_compensation`` each value goes to
            the nearest integer.
    """
    scales = column_scales(matrix)
    order, shares = compensation.order, compensation.shares
    wanted = matrix[order] / scales
    errors = np.empty_like(wanted)
    integers = np.zeros(matrix.shape, dtype=np.int8)
    energy = np.zeros(matrix.shape[1])
    for start in range(0, len(matrix), _BLOCK):
        stop = min(start + _BLOCK, len(matrix))
        targets = wanted[start:stop] + shares[start:stop, :start] @ errors[:start]
        for row in range(start, stop):
            target = targets[row - start]
            target += shares[row, start:row] @ errors[start:row]
            rounded = _fitting(target, integers, int(order[row]))
            np.subtract(wanted[row], rounded, out=errors[row])
            target -= rounded
        energy += compensation.pivots[start:stop] @ np.square(targets, dtype=np.float64)
    squares = np.square(scales, dtype=np.float64)
    damped = compensation.damping * np.einsum("ij,ij->j", errors, errors)
    return RoundedMatrix(integers, scales, max(float((energy - damped) @ squares), 0.0))


def _fitting(target: NDArray[np.float32], integers: NDArray[np.int8], row: int) -> NDArray[np.float32]:
    """The nearest integers for a row that fit together with the other row of its pair, if that is rounded.

    They go into ``integers`` as well.
    """
    found = np.rint(target)
    np.minimum(found, LARGEST, out=found)
    np.maximum(found, -LARGEST, out=found)
    other = row ^ 1
    if other < len(integers):  # a row that is still to be rounded is 0, and leaves all the room
        beside = integers[other].astype(np.float32)
        found += beside
        np.minimum(found, LARGEST_PAIR, out=found)
        np.maximum(found, -LARGEST_PAIR, out=found)
        found -= beside
    integers[row] = found
    return found
