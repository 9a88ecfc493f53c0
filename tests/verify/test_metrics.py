"""The measures of agreement, on vectors whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.verify.metrics import compare, cosines, neighbour_overlap, spearman, unit_rows


def vectors(rows=40, width=16, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def test_identical_vectors():
    comparison = compare(vectors(), vectors())
    assert comparison.fidelity.cosine_min == pytest.approx(1.0, abs=1e-12)
    assert comparison.fidelity.max_abs_diff == 0.0
    assert comparison.fidelity.top10_overlap == 1.0
    assert comparison.max_norm_diff == 0.0


def test_one_bad_row_is_found():
    reference = vectors()
    candidate = reference.copy()
    candidate[7] = -candidate[7]
    comparison = compare(candidate, reference)
    assert comparison.worst == 7
    assert comparison.fidelity.cosine_min == pytest.approx(-1.0)
    assert comparison.fidelity.cosine_mean == pytest.approx(1.0 - 2.0 / 40)
    assert comparison.fidelity.top10_overlap < 1.0


def test_length_is_seen_though_cosine_is_blind_to_it():
    comparison = compare(vectors() * np.float32(1.01), vectors())
    assert comparison.fidelity.cosine_min == pytest.approx(1.0)
    assert comparison.max_norm_diff == pytest.approx(0.01, rel=1e-3)


def test_nan_is_the_worst_there_is():
    candidate = vectors()
    candidate[3, 0] = np.nan
    assert compare(candidate, vectors()).fidelity.cosine_min == -1.0


def test_rows_of_zeros_agree_with_each_other_only():
    zero, one = np.zeros((1, 4), np.float32), np.ones((1, 4), np.float32)
    assert cosines(zero, zero)[0] == 1.0
    assert cosines(zero, one)[0] == 0.0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="Cannot compare"):
        compare(vectors(3), vectors(4))


def test_overlap_lets_ties_stand_in_any_order():
    """Texts with equal vectors may be ranked either way without being called a difference."""
    base = vectors(12)
    base[1:] = base[1]
    noise = np.random.default_rng(1).normal(scale=1e-9, size=base.shape)
    assert neighbour_overlap(unit_rows(base + noise.astype(np.float32)), unit_rows(base)) == 1.0


def test_overlap_counts_by_hand():
    angles = np.radians([0, 1, 10, 20, 180])
    reference = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    moved = np.radians([0, 15, 10, 20, 180])
    candidate = np.stack([np.cos(moved), np.sin(moved)], axis=1)
    # Nearest neighbour, reference: 1, 0, 1, 2, 3; candidate: 2, 2, 1, 1, 3 (rows 0, 1 and 3 moved).
    assert neighbour_overlap(candidate, reference, k=1) == pytest.approx(2 / 5)


def test_overlap_of_few_texts():
    assert neighbour_overlap(unit_rows(vectors(1)), unit_rows(vectors(1, seed=1))) == 1.0
    assert neighbour_overlap(unit_rows(vectors(3)), unit_rows(vectors(3, seed=1))) == 1.0


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8),
        ([1, 2, 2, 3], [1, 2, 3, 4], 0.9486832980505138),  # scipy.stats.spearmanr
    ],
)
def test_spearman(left, right, expected):
    assert spearman(np.array(left, float), np.array(right, float)) == pytest.approx(expected)


def test_spearman_of_a_constant_is_not_a_number():
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))


@given(st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=3, max_size=30, unique=True))
def test_spearman_sees_ranks_only(values):
    left = np.array(values)
    right = np.random.default_rng(0).normal(size=len(values))
    assert spearman(left**3, right) == pytest.approx(spearman(left, right), abs=1e-9)
