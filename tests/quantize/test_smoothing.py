"""Smoothing moves difficulty between inputs and weights, and never changes the product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stonnx.quantize.smoothing import smoothing_multipliers

WIDTH = 6
STRENGTHS = [0.0, 0.2, 0.5, 0.9, 1.0]
magnitudes = st.floats(2**-10, 2**10, width=32)
rows = hnp.arrays(np.float32, WIDTH, elements=st.just(0.0) | magnitudes)


def largest_weights(*matrices):
    """Of each row."""
    return np.abs(np.concatenate(matrices, axis=1)).max(axis=1)


def case(seed=0):
    rng = np.random.default_rng(seed)
    spread = np.exp(rng.normal(size=WIDTH) * 2)
    x = (rng.normal(size=(50, WIDTH)) * spread).astype(np.float32)
    return x, [rng.normal(size=(WIDTH, width)).astype(np.float32) for width in (5, 3)]


@given(largest=rows, weights=rows, strength=st.sampled_from(STRENGTHS))
def test_multipliers_are_positive_and_finite_with_a_geometric_mean_of_1(largest, weights, strength):
    found = smoothing_multipliers(largest, weights, strength=strength)
    assert (found.dtype, found.shape) == (np.float32, (WIDTH,))
    assert np.isfinite(found).all()
    assert (found > 0).all()
    assert abs(np.log(found.astype(np.float64)).mean()) < 1e-5


@pytest.mark.parametrize("strength", STRENGTHS)
def test_products_are_preserved(strength):
    x, matrices = case()
    multipliers = smoothing_multipliers(np.abs(x).max(axis=0), largest_weights(*matrices), strength=strength)
    assert multipliers.max() > 1.5 * multipliers.min()
    for matrix in matrices:
        np.testing.assert_allclose(
            (x * multipliers) @ (matrix / multipliers[:, None]), x @ matrix, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("strength", STRENGTHS)
def test_strength_says_which_side_is_balanced(strength):
    """Formula 4 of the paper: inputs are left with the spread ``x^(1-α) w^(1-α)``, weights with its counterpart."""
    x, matrices = case()
    largest = np.abs(x).max(axis=0)
    weights = largest_weights(*matrices)
    multipliers = smoothing_multipliers(largest, weights, strength=strength)
    inputs, expected = largest * multipliers, (largest * weights) ** (1 - strength)
    np.testing.assert_allclose(inputs / inputs[0], expected / expected[0], rtol=1e-4)
    balanced, expected = weights / multipliers, (largest * weights) ** strength
    np.testing.assert_allclose(balanced / balanced[0], expected / expected[0], rtol=1e-4)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("side", ["inputs", "weights"])
def test_a_dead_component_counts_as_the_smallest_of_the_others(side, strength):
    x, (matrix, _) = case()
    largest, weights = np.abs(x).max(axis=0), largest_weights(matrix)
    values = largest if side == "inputs" else weights
    values[2] = 0
    found = smoothing_multipliers(largest, weights, strength=strength)
    values[2] = np.delete(values, 2).min()
    np.testing.assert_allclose(found, smoothing_multipliers(largest, weights, strength=strength), rtol=1e-6)


def test_where_everything_is_dead_nothing_is_moved():
    nothing = np.zeros(WIDTH, dtype=np.float32)
    np.testing.assert_array_equal(smoothing_multipliers(nothing, nothing, strength=0.5), 1)
