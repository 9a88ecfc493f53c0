"""Rounding to int8: the scales, and that compensation is worth its arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stonnx.quantize.rounding import LARGEST, LARGEST_PAIR, column_scales, compensated
from stonnx.quantize.statistics import InputStatistics, compensate_for, no_compensation

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


def compensation_of(x):
    width = x.shape[1]
    return compensate_for(statistics_of(x), np.arange(width), np.ones(width, dtype=np.float32))


def compensate(matrix, x):
    integers, scales, _ = compensated(matrix, compensation_of(x))
    return integers, scales


def nearest(matrix):
    integers, scales, _ = compensated(matrix, no_compensation(len(matrix)))
    return integers, scales


def pairs_of(values):
    """The sums of the rows 2k and 2k + 1, shape (in // 2, out)."""
    wide = values[: len(values) // 2 * 2].astype(np.float64)
    return wide[0::2] + wide[1::2]


def with_small_pairs(matrix):
    """With every second row turned around: no pair is as large as the larger of its two."""
    return matrix * np.where(np.arange(len(matrix)) % 2, -1, 1)[:, None].astype(np.float32) * np.sign(matrix)


def error_energy(x, matrix, rounded):
    integers, scales = rounded
    return float(np.square(x.astype(np.float64) @ (matrix - integers * scales.astype(np.float64))).sum())


@given(matrix=matrices)
def test_the_scale_is_the_smallest_with_which_values_and_pairs_fit(matrix):
    scales = column_scales(matrix)
    assert (scales.dtype, scales.shape) == (np.float32, matrix.shape[1:])
    largest = np.abs(matrix).max(axis=0)
    np.testing.assert_array_equal(scales[largest == 0], 1)
    shares = np.maximum(largest / LARGEST, np.abs(pairs_of(matrix)).max(axis=0, initial=0) / LARGEST_PAIR)
    np.testing.assert_allclose(scales[largest > 0], shares[largest > 0], rtol=1e-6)


@given(matrix=matrices)
def test_nearest_is_within_half_a_step_or_one_and_a_half_where_a_pair_was_rounded_up_twice(matrix):
    integers, scales = nearest(matrix)
    assert integers.dtype == np.int8
    off = np.abs(matrix - integers * scales.astype(np.float64)) / scales
    assert off.max() <= 1.501
    full = np.abs(pairs_of(integers)) == LARGEST_PAIR
    assert (off[1 : len(full) * 2 : 2][~full] <= 0.501).all()
    assert (off[0::2] <= 0.501).all()  # the first of a pair is rounded first here


@given(matrix=matrices, seed=st.integers(0, 3))
def test_every_integer_and_every_pair_fits(matrix, seed):
    """What two products with 255 add up to stays in an int16."""
    integers, _ = compensate(matrix, correlated(30, len(matrix), seed=seed))
    assert np.abs(integers.astype(int)).max() <= LARGEST
    assert np.abs(pairs_of(integers)).max(initial=0) <= LARGEST_PAIR
    assert 255 * LARGEST_PAIR < 2**15


def test_compensation_stays_within_the_limit():
    x, rng = correlated(400, 64), np.random.default_rng(0)
    matrix = with_small_pairs(
        rng.uniform(0.98, 1, (64, 48)).astype(np.float32)
    )  # no room above to make up for anything
    integers, scales = compensate(matrix, x)
    assert np.abs(integers.astype(int)).max() == LARGEST
    np.testing.assert_array_equal(scales, column_scales(matrix))


def test_pairs_that_fill_their_room_stay_within_it():
    x, rng = correlated(400, 64), np.random.default_rng(0)
    matrix = rng.uniform(0.98, 1, (64, 48)).astype(np.float32)
    integers, _ = compensate(matrix, x)
    assert (pairs_of(integers) == LARGEST_PAIR).mean() > 0.2
    assert pairs_of(integers).max() == LARGEST_PAIR


def test_columns_of_zeros_stay_zero():
    matrix = normal(32, 5)
    matrix[:, [0, 3]] = 0
    integers, scales = compensate(matrix, correlated(200, 32))
    assert not integers[:, [0, 3]].any()
    assert integers[:, [1, 2, 4]].any(axis=0).all()
    assert scales[[0, 3]].tolist() == [1, 1]


@pytest.mark.parametrize("width", [24, 128, 300])  # below, at and above the size of a block
def test_compensation_lowers_the_error_of_the_products(width):
    x, matrix = correlated(3 * width, width), normal(width, 40, seed=5)
    plain = error_energy(x, matrix, nearest(matrix))
    assert error_energy(x, matrix, compensate(matrix, x)) < 0.5 * plain


def test_it_helps_on_inputs_that_were_not_seen():
    mixing = normal(8, 64, seed=2)
    seen, unseen = (normal(600, 8, seed=seed) @ mixing + 0.1 * normal(600, 64, seed=seed + 1) for seed in (10, 20))
    matrix = normal(64, 40, seed=5)
    plain = error_energy(unseen, matrix, nearest(matrix))
    assert error_energy(unseen, matrix, compensate(matrix, seen)) < 0.5 * plain


def inverse_form(matrix, energy, order, scales):
    """GPTQ as its paper writes it, with the inverse of the damped energy, in float64 and row by row."""
    energy = energy[np.ix_(order, order)].astype(np.float64)
    energy += np.eye(len(energy)) * 0.1 * np.trace(energy) / len(energy)
    factor = np.linalg.cholesky(np.linalg.inv(energy)).T  # upper, of the inverse
    left, found = matrix[order].astype(np.float64), np.zeros(matrix.shape, dtype=np.int8)
    for row, place in enumerate(order):
        beside = found[place ^ 1].astype(int) if place ^ 1 < len(found) else 0
        lowest, highest = np.maximum(-LARGEST, -LARGEST_PAIR - beside), np.minimum(LARGEST, LARGEST_PAIR - beside)
        found[place] = np.clip(np.rint(left[row] / scales), lowest, highest)
        error = (left[row] - found[place] * scales) / factor[row, row]
        left[row + 1 :] -= np.outer(factor[row, row + 1 :], error)
    return found


@pytest.mark.parametrize("width", [7, 96, 97, 250])  # below, at and above the size of a block
@pytest.mark.parametrize("tokens", [50, 600])  # fewer than components, and more
def test_the_integers_are_those_of_the_form_with_an_inverse(width, tokens):
    """All but a few that are on the edge."""
    x, matrix = correlated(tokens, width), normal(width, 40, seed=5)
    statistics = statistics_of(x)
    integers, scales = compensate(matrix, x)
    expected = inverse_form(matrix, statistics.energy, np.argsort(-np.diag(statistics.energy)), scales)
    assert (integers != expected).mean() < 0.002
    assert np.abs(integers.astype(int) - expected).max() <= 2
    assert (integers != nearest(matrix)[0]).mean() > 0.1


@pytest.mark.parametrize("pairs", [True, False])
def test_the_error_that_it_tells_is_that_of_the_products(pairs):
    x, matrix = correlated(600, 200), normal(200, 16, seed=5)
    matrix = matrix if pairs else with_small_pairs(matrix)
    found = compensated(matrix, compensation_of(x))
    assert found.error == pytest.approx(error_energy(x, matrix, (found.values, found.scales)), rel=1e-3)
    plain = compensated(matrix, no_compensation(200))
    assert plain.error == pytest.approx(np.square(matrix - plain.values * plain.scales).sum(), rel=1e-3)


def test_where_nothing_is_lost_the_error_is_nothing():
    matrix = np.zeros((20, 3), dtype=np.float32)
    assert compensated(matrix, compensation_of(correlated(50, 20))).error == 0


def test_the_matrix_is_left_alone():
    matrix = normal(16, 4)
    before = matrix.copy()
    compensate(matrix, correlated(100, 16))
    np.testing.assert_array_equal(matrix, before)
