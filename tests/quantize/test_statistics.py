"""Statistics of inputs, and the factor that compensated rounding takes from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.quantize.statistics import InputStatistics, compensation_factor

DAMPING = 0.1  # of the mean energy


def statistics_of(x):
    x = x.astype(np.float32)
    return InputStatistics(x.T @ x, x.min(axis=0), x.max(axis=0), len(x), x[::4])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check_factor(statistics):
    """UᵀU is the inverse of the damped energy in the order that comes with it, and U is upper triangular."""
    order, factor = compensation_factor(statistics)
    width = len(statistics.energy)
    assert sorted(order.tolist()) == list(range(width))
    assert (np.diff(np.diag(statistics.energy)[order]) <= 0).all()
    assert (factor.dtype, factor.shape) == (np.float32, (width, width))
    assert np.isfinite(factor).all()
    assert (np.diag(factor) > 0).all()
    np.testing.assert_array_equal(factor, np.triu(factor))
    energy = statistics.energy[np.ix_(order, order)].astype(np.float64)
    energy += np.eye(width) * DAMPING * np.trace(energy) / width
    upper = factor.astype(np.float64)
    # Written so that components of any size weigh the same: U H Uᵀ = 1 follows from UᵀU = H⁻¹.
    np.testing.assert_allclose(upper @ energy @ upper.T, np.eye(width), atol=1e-3)


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
    """Through ``scaled``, whose rounding leaves the energy a little asymmetric: inverting it first fails here."""
    rng = np.random.default_rng(seed)
    x = normal(50, 384, seed=seed)
    x[:, :8] += (1e6 * rng.normal(1, 0.01, (50, 1)) * np.exp(rng.normal(size=8))).astype(np.float32)
    check_factor(statistics_of(x).scaled(np.exp(normal(384, seed=seed + 10))))


def test_a_dead_component_comes_last_and_is_no_obstacle():
    x = normal(100, 6)
    x[:, 2] = 0
    order, _ = compensation_factor(statistics_of(x))
    assert order[-1] == 2
    check_factor(statistics_of(x))


def test_inputs_of_zeros_have_a_factor_as_well():
    order, factor = compensation_factor(statistics_of(np.zeros((5, 4))))
    assert order.tolist() == [0, 1, 2, 3]
    assert np.isfinite(factor).all()
    assert (np.diag(factor) > 0).all()


def test_scaled_statistics_are_those_of_scaled_inputs():
    x, multipliers = normal(50, 8), np.exp(normal(8, seed=3))
    found, expected = statistics_of(x).scaled(multipliers), statistics_of(x * multipliers)
    assert found.tokens == expected.tokens == 50
    for name in ("energy", "low", "high", "sample"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.largest(), np.abs(x * multipliers).max(axis=0), rtol=1e-6)


def test_largest_takes_both_signs():
    assert statistics_of(np.array([[-3.0, 1.0, 0.0], [2.0, 4.0, 0.0]])).largest().tolist() == [3, 4, 0]
