"""The ranges of quantised inputs: all of it fits, 0 is exact, and closer is not worse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stonnx.graph.quantized import FixedRange, ScalePerToken
from stonnx.quantize.ranges import choose_range, fixed_range, mean_input_error, per_token, unbalanced
from stonnx.quantize.rounding import column_scales
from stonnx.quantize.smoothing import smoothing_multipliers
from stonnx.quantize.statistics import InputStatistics

inputs = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.integers(1, 6)),
    elements=st.floats(-1000, 1000, width=32, allow_subnormal=False),
)


def statistics_of(x):
    return InputStatistics(x.T @ x, x.min(axis=0), x.max(axis=0), len(x), x)


def spread_inputs(seed=0, tokens=200, width=24, *, outlier=30.0):
    """Inputs with one component far above the others, and tokens of unequal size."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(tokens, width)) * np.exp(rng.normal(size=(tokens, 1)))
    x[:, 3] *= outlier
    return x.astype(np.float32), rng.normal(size=(width, 16)).astype(np.float32)


def dequantised(x, how):
    q = np.clip(np.rint(x / how.scale) + how.zero_point, 0, 255)
    return (q - how.zero_point) * how.scale


@given(x=inputs, share=st.floats(0, 1))
def test_a_fixed_range_covers_all_that_was_seen_and_0(x, share):
    how = fixed_range(statistics_of(x), None)
    assert how.scale > 0
    assert how.zero_point in range(256)
    low, high = float(x.min()), float(x.max())
    seen = np.array([low, high, low + share * (high - low)])
    assert (np.abs(dequantised(seen, how) - seen) <= 0.5001 * how.scale).all()
    assert dequantised(np.zeros(1), how) == 0


@given(x=inputs)
def test_a_fixed_range_is_no_wider_than_needed(x):
    how = fixed_range(statistics_of(x), None)
    if x.any():
        assert how.scale * 255 == pytest.approx(max(x.max(), 0) - min(x.min(), 0))


@given(x=inputs)
@example(x=np.array([[-1, 1]], dtype=np.float32))
def test_per_token_keeps_multipliers_and_is_never_worse_than_symmetric(x):
    multipliers = np.ones(x.shape[1], dtype=np.float32)
    how = per_token(statistics_of(x), multipliers)
    assert isinstance(how, ScalePerToken)
    assert how.multipliers is multipliers
    assert 1 <= how.zero_point <= 254
    symmetric = (np.maximum(x.max(axis=1) / 127, x.min(axis=1) / -128).astype(np.float64) ** 2).mean() / 12
    assert mean_input_error(statistics_of(x), how) <= symmetric * 1.0001


@pytest.mark.parametrize(("sign", "side"), [(1, range(64, 100)), (-1, range(156, 193))])
def test_per_token_moves_the_zero_to_where_there_is_less(sign, side):
    x = sign * np.random.default_rng(0).uniform(-1, 3, size=(50, 8)).astype(np.float32)
    assert per_token(statistics_of(x), None).zero_point in side


def test_unbalanced_is_a_scale_per_token_above_a_bound_and_no_more():
    x = np.abs(spread_inputs()[0])
    for bound, zeros in ((-0.1701, range(1, 40)), (0.0, range(1))):
        how, copies, error = unbalanced(statistics_of(x), bound)
        assert (how.multipliers, how.lower_bound) == (None, bound)
        assert how.zero_point in zeros
        assert (copies.dtype, len(copies)) == (np.int64, 0)
        assert error == pytest.approx(mean_input_error(statistics_of(x), how), rel=1e-6)


@pytest.mark.parametrize(("high", "zeros"), [(1.0, range(35, 39)), (100.0, range(1, 3))])
def test_the_zero_above_a_bound_is_where_both_ends_fit(high, zeros):
    """255 * 0.17 / (high + 0.17): of tokens that are all as high."""
    x = np.full((10, 4), high, np.float32)
    assert unbalanced(statistics_of(x), -0.17).range.zero_point in zeros


@pytest.mark.parametrize(
    "how",
    [
        FixedRange(multipliers=None, scale=0.25, zero_point=100),
        ScalePerToken(multipliers=None, zero_point=40, lower_bound=-0.5),
        ScalePerToken(multipliers=None, zero_point=100),
    ],
)
def test_step_energy_is_that_of_uniform_errors(how):
    """A twelfth of the squared step, by trying: the mean squared error of rounding many numbers with these steps."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(size=(400, 300)) * rng.uniform(1, 4, size=(400, 1)), -0.5).astype(np.float32)
    high, low = x.max(axis=1, keepdims=True), x.min(axis=1, keepdims=True)
    if isinstance(how, FixedRange):
        steps = np.full_like(high, 0.25)
    elif how.lower_bound is not None:
        steps = np.maximum(high / 215, 0.5 / 40)
    else:
        steps = np.maximum(high / 155, low / -100)
    inner = (x > low) & (x < high)
    errors = np.where(inner, np.rint(x / steps) * steps - x, 0)
    measured = np.square(errors).sum() / inner.sum()
    assert mean_input_error(statistics_of(x), how) == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize("bound", [0.0, -0.1701])
def test_a_lower_bound_gives_a_scale_per_token_that_the_multipliers_keep(bound):
    x, matrix = spread_inputs()
    x = np.maximum(x, np.float32(bound))
    how = choose_range(statistics_of(x), matrix, bound).range
    assert isinstance(how, ScalePerToken)
    assert how.lower_bound == bound
    assert (how.zero_point == 0) == (bound == 0)
    assert how.multipliers.dtype == np.float32
    assert how.multipliers.max() <= 1
    assert 0 < how.multipliers.min() < 0.9
    assert (x * how.multipliers).min() >= bound


def test_without_a_bound_the_range_is_that_of_the_balanced_input():
    x, matrix = spread_inputs()
    how = choose_range(statistics_of(x), matrix, None).range
    assert isinstance(how, FixedRange)
    expected = fixed_range(statistics_of(x * how.multipliers), None)
    assert (how.scale, how.zero_point) == (pytest.approx(expected.scale, rel=1e-5), expected.zero_point)
    assert how.multipliers[3] == how.multipliers.min()  # the outlier is what is made smaller


def product_error(x, matrix, how):
    """Energy of the error of the products, computed: inputs with a fixed range, weights rounded."""
    multipliers = 1 if how.multipliers is None else how.multipliers
    balanced = matrix / (multipliers if np.isscalar(multipliers) else multipliers[:, None])
    steps = column_scales(balanced)
    rounded = np.rint(balanced / steps) * steps
    return float(np.square(dequantised(x * multipliers, how) @ rounded - x @ matrix).sum())


def test_balancing_is_worth_it_and_near_the_best_strength():
    x, matrix = spread_inputs(outlier=100.0)
    statistics = statistics_of(x)
    chosen = product_error(x, matrix, choose_range(statistics, matrix, None).range)
    assert chosen < 0.5 * product_error(x, matrix, fixed_range(statistics, None))
    errors = []
    for strength in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        weights = np.abs(matrix).max(axis=1)
        multipliers = smoothing_multipliers(statistics.largest(), weights, strength=strength)
        errors.append(product_error(x, matrix, fixed_range(statistics, multipliers)))
    assert max(errors) > 2 * min(errors)
    assert chosen < 1.2 * min(errors)


@pytest.mark.parametrize("bound", [0.0, -0.1701])
def test_outliers_are_split_where_it_is_worth_it(bound):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 256)).astype(np.float32)
    matrix = rng.normal(size=(256, 16)).astype(np.float32)
    even = np.maximum(x, np.float32(bound))
    assert not len(choose_range(statistics_of(even), matrix, bound).copies)
    x[:, [7, 90]] *= 40
    uneven = np.maximum(x, np.float32(bound))
    how, copies, _ = choose_range(statistics_of(uneven), matrix, bound)
    assert set(copies) == {7, 90}
    assert 2 <= len(copies) <= 256 // 64
    assert how.multipliers[[7, 90]].max() < 0.5 * np.delete(how.multipliers, [7, 90]).min()
    whole, none, _ = choose_range(statistics_of(uneven), matrix, None)
    assert isinstance(whole, FixedRange)
    assert not len(none)  # in a fixed range they leave room for what calibration did not see
