"""Statistics of inputs, and the factor that compensated rounding takes from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.quantize.statistics import InputStatistics, compensate_for, no_compensation

DAMPING = 0.1  # of the mean energy


def statistics_of(x):
    x = x.astype(np.float32)
    return InputStatistics(x.T @ x, x.min(axis=0), x.max(axis=0), len(x), x[::4])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def compensate(statistics, multipliers=None):
    width = len(statistics.low)
    return compensate_for(
        statistics, np.arange(width), np.ones(width, np.float32) if multipliers is None else multipliers
    )


def check_factor(statistics, multipliers=None):
    """Shares and pivots make up the damped energy, in the order that comes with them."""
    found = compensate(statistics, multipliers)
    width = len(statistics.energy)
    assert sorted(found.order.tolist()) == list(range(width))
    both = 1 if multipliers is None else np.outer(multipliers, multipliers).astype(np.float64)
    energy = (statistics.energy * both)[np.ix_(found.order, found.order)].astype(np.float64)
    assert (np.diff(np.diag(energy)) <= 1e-6 * np.diag(energy)[:-1]).all()
    assert (found.shares.dtype, found.shares.shape) == (np.float32, (width, width))
    np.testing.assert_array_equal(found.shares, np.tril(found.shares))
    np.testing.assert_array_equal(np.diag(found.shares), 1)
    assert found.pivots.min() >= 0.999 * found.damping > 0
    assert found.damping == pytest.approx(DAMPING * np.trace(energy) / width)
    energy += np.eye(width) * found.damping
    factor = found.shares * np.sqrt(found.pivots)[:, None]
    sizes = np.sqrt(np.diag(energy))  # written so that components of any size weigh the same
    np.testing.assert_allclose(factor.T @ factor / np.outer(sizes, sizes), energy / np.outer(sizes, sizes), atol=1e-5)


@given(seed=st.integers(0, 99), width=st.integers(1, 12), tokens=st.integers(1, 40))
def test_factor_whatever_the_number_of_tokens(seed, width, tokens):
    check_factor(statistics_of(normal(tokens, width, seed=seed)))


@pytest.mark.parametrize("tokens", [3, 60, 500])
def test_factor_of_correlated_inputs(tokens):
    check_factor(statistics_of(normal(tokens, 8) @ normal(8, 60, seed=1) + 0.1 * normal(tokens, 60, seed=2)))


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("largest", [1e3, 1e6])
def test_factor_where_components_outweigh_the_others_a_millionfold(largest, count):
    x = normal(200, 64)
    x[:, :count] *= np.float32(largest)
    check_factor(statistics_of(x))


@pytest.mark.parametrize("seed", range(3))
def test_factor_where_the_large_components_rise_and_fall_together(seed):
    """Energies are float32, and less than definite after a balance: inverting them first fails here."""
    rng = np.random.default_rng(seed)
    x = normal(50, 384, seed=seed)
    x[:, :8] += (1e6 * rng.normal(1, 0.01, (50, 1)) * np.exp(rng.normal(size=8))).astype(np.float32)
    check_factor(statistics_of(x), np.exp(normal(384, seed=seed + 10)))


def test_a_dead_component_comes_last_and_is_no_obstacle():
    x = normal(100, 6)
    x[:, 2] = 0
    assert compensate(statistics_of(x)).order[-1] == 2
    check_factor(statistics_of(x))


def test_inputs_of_zeros_are_rounded_in_their_own_order_without_compensation():
    found, plain = compensate(statistics_of(np.zeros((5, 4)))), no_compensation(4)
    np.testing.assert_array_equal(found.order, plain.order)
    np.testing.assert_array_equal(found.shares, plain.shares)
    assert (found.pivots > 0).all()


@pytest.mark.parametrize("width", [5, 96, 97, 250])  # below, at and above the size of a block
def test_rows_that_repeat_components_are_those_of_an_input_that_repeats_them(width):
    rng = np.random.default_rng(0)
    x, multipliers = normal(2 * width, width), np.exp(normal(width, seed=3))
    rows = np.concatenate([np.arange(width), rng.integers(0, width, 3)])
    found = compensate_for(statistics_of(x), rows, multipliers)
    expected = compensate(statistics_of((x * multipliers)[:, rows]))
    np.testing.assert_array_equal(found.order, expected.order)
    np.testing.assert_allclose(found.shares, expected.shares, atol=1e-3)
    np.testing.assert_allclose(found.pivots, expected.pivots, rtol=1e-3)
    assert found.damping == pytest.approx(expected.damping, rel=1e-5)


def test_largest_takes_both_signs():
    assert statistics_of(np.array([[-3.0, 1.0, 0.0], [2.0, 4.0, 0.0]])).largest().tolist() == [3, 4, 0]
