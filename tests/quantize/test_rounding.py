"""Rounding to int8: the scales, and that compensation is worth its arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stonnx.quantize.rounding import FULL_RANGE, SEVEN_BITS, column_scales, compensated, nearest
from stonnx.quantize.statistics import InputStatistics, compensation_factor

LIMITS = [FULL_RANGE, SEVEN_BITS]
matrices = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 6)),
    elements=st.floats(-100, 100, width=32, allow_subnormal=False),
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def correlated(tokens, width, seed=1):
    """Inputs of which a few directions carry nearly all energy, as in a layer of a network."""
    few = max(1, width // 8)
    return normal(tokens, few, seed=seed) @ normal(few, width, seed=seed + 1) + 0.1 * normal(tokens, width)


def statistics_of(x):
    return InputStatistics(x.T @ x, x.min(axis=0), x.max(axis=0), len(x), x[:50])


def compensate(matrix, x, limit):
    """``compensated`` with the rows in the order of ``matrix`` again."""
    order, factor = compensation_factor(statistics_of(x))
    integers, scales = compensated(matrix[order], factor, limit=limit)
    return integers[np.argsort(order)], scales


def error_energy(x, matrix, rounded):
    integers, scales = rounded
    return float(np.square(x.astype(np.float64) @ (matrix - integers * scales.astype(np.float64))).sum())


@given(matrix=matrices, limit=st.sampled_from(LIMITS))
def test_the_largest_of_a_column_becomes_the_limit(matrix, limit):
    scales = column_scales(matrix, limit=limit)
    assert (scales.dtype, scales.shape) == (np.float32, matrix.shape[1:])
    largest = np.abs(matrix).max(axis=0)
    np.testing.assert_allclose((scales * limit)[largest > 0], largest[largest > 0], rtol=1e-6)
    np.testing.assert_array_equal(scales[largest == 0], 1)


@given(matrix=matrices, limit=st.sampled_from(LIMITS))
def test_nearest_is_within_half_a_step_and_the_limit(matrix, limit):
    integers, scales = nearest(matrix, limit=limit)
    assert integers.dtype == np.int8
    wide = integers.astype(np.int64)
    assert np.abs(wide).max() <= limit
    assert np.abs(wide)[:, matrix.any(axis=0)].max(axis=0, initial=0).tolist() == [limit] * int(
        matrix.any(axis=0).sum()
    )
    assert (np.abs(matrix - wide * scales) <= 0.5001 * scales).all()


@given(matrix=matrices, limit=st.sampled_from(LIMITS), scale=st.floats(0.1, 10))
def test_inputs_without_correlation_leave_nothing_to_compensate(matrix, limit, scale):
    factor = np.diag(np.full(len(matrix), scale, dtype=np.float32))
    for found, expected in zip(compensated(matrix, factor, limit=limit), nearest(matrix, limit=limit), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("limit", LIMITS)
def test_compensation_stays_within_the_limit(limit):
    x, rng = correlated(400, 64), np.random.default_rng(0)
    signs = np.where(rng.random((64, 48)) < 0.5, -1, 1)
    matrix = (signs * rng.uniform(0.98, 1, (64, 48))).astype(np.float32)  # no room above to make up for anything
    integers, scales = compensate(matrix, x, limit)
    assert integers.dtype == np.int8
    assert np.abs(integers.astype(np.int64)).max() == limit
    np.testing.assert_array_equal(scales, column_scales(matrix, limit=limit))


@pytest.mark.parametrize("limit", LIMITS)
def test_columns_of_zeros_stay_zero(limit):
    matrix = normal(32, 5)
    matrix[:, [0, 3]] = 0
    integers, scales = compensate(matrix, correlated(200, 32), limit)
    assert not integers[:, [0, 3]].any()
    assert integers[:, [1, 2, 4]].any(axis=0).all()
    assert scales[[0, 3]].tolist() == [1, 1]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("width", [24, 128, 300])  # below, at and above the size of a block
def test_compensation_lowers_the_error_of_the_products(width, limit):
    x, matrix = correlated(3 * width, width), normal(width, 40, seed=5)
    plain = error_energy(x, matrix, nearest(matrix, limit=limit))
    assert error_energy(x, matrix, compensate(matrix, x, limit)) < 0.5 * plain


def test_it_helps_on_inputs_that_were_not_seen():
    mixing = normal(8, 64, seed=2)
    seen, unseen = (normal(600, 8, seed=seed) @ mixing + 0.1 * normal(600, 64, seed=seed + 1) for seed in (10, 20))
    matrix = normal(64, 40, seed=5)
    plain = error_energy(unseen, matrix, nearest(matrix, limit=SEVEN_BITS))
    assert error_energy(unseen, matrix, compensate(matrix, seen, SEVEN_BITS)) < 0.5 * plain


def test_blocks_change_nothing():
    """A plain loop over the rows, float64, gives the same integers but for a few that are on the edge."""
    x, matrix = correlated(600, 200), normal(200, 16, seed=5)
    _, factor = compensation_factor(statistics_of(x))
    integers, scales = compensated(matrix, factor, limit=FULL_RANGE)
    left, expected = matrix.astype(np.float64), np.empty_like(integers)
    for row in range(200):
        expected[row] = np.clip(np.rint(left[row] / scales), -FULL_RANGE, FULL_RANGE)
        error = (left[row] - expected[row] * scales) / factor[row, row]
        left[row + 1 :] -= np.outer(factor[row, row + 1 :], error)
    assert (integers != expected).mean() < 0.01
    assert np.abs(integers.astype(int) - expected).max() <= 2


def test_the_matrix_is_left_alone():
    matrix = normal(16, 4)
    before = matrix.copy()
    compensate(matrix, correlated(100, 16), FULL_RANGE)
    nearest(matrix, limit=FULL_RANGE)
    np.testing.assert_array_equal(matrix, before)
