"""Splitting outliers: as many parts as there may be, where they lower what is highest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stonnx.quantize.splitting import lay_out, part_counts, split_outliers

levels = hnp.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 90)), elements=st.floats(0, 1000, width=32))


def split(found, budget, weights=None):
    return split_outliers(found, np.ones(found.shape[1]) if weights is None else weights, budget)


def error(found, copies):
    """Squares of the steps times what they are multiplied with; parts of a component are rounded alike."""
    parts = part_counts(copies, found.shape[1]).astype(np.float64)
    return float(np.square(found / parts).max(axis=1).sum() * np.square(parts).sum())


def test_one_outlier_gets_all_parts():
    found = np.ones((5, 40), np.float32)
    found[:, 8] = 100
    assert split(found, 4).tolist() == [8] * 4
    assert part_counts(np.array([8] * 4), 40).tolist() == [1.0] * 8 + [5.0] + [1.0] * 31


def test_no_more_parts_than_are_worth_it():
    """A component that is high in one token of a hundred errs in all of them."""
    found = np.ones((100, 40), np.float32)
    found[:, 8] = 100
    often = split(found, 60)
    found[1:, 8] = 0
    assert 0 < len(split(found, 60)) < 20 < len(often)


def test_large_weights_are_not_split():
    """What the other components gain is little then beside what this one loses in the tokens where it is low."""
    found, weights = np.ones((5, 40), np.float32), np.ones(40)
    found[0, 8] = 100
    assert len(split(found, 4)) == 4
    weights[8] = 1e6
    assert split(found, 4, weights).tolist() == []


def test_two_outliers_share_by_their_size():
    found = np.ones((5, 400), np.float32)
    found[:, 8], found[:, 30] = 60, 30
    assert split(found, 4).tolist() == [8, 8, 8, 30]


def test_what_is_high_in_many_tokens_comes_first():
    found = np.ones((10, 40), np.float32)
    found[0, 8], found[:, 30] = 30, 20
    assert split(found, 1).tolist() == [30]


def test_where_all_are_alike_nothing_is_split():
    assert split(np.ones((3, 100), np.float32), 5).tolist() == []
    assert split(np.zeros((3, 100), np.float32), 5).tolist() == []


@given(found=levels, budget=st.integers(0, 12))
def test_never_more_than_there_may_be_and_never_in_vain(found, budget):
    copies = split(found, budget)
    assert copies.dtype == np.int64
    assert len(copies) <= budget
    assert copies.tolist() == sorted(copies.tolist())
    if len(copies):
        assert error(found, copies) < error(found, np.empty(0, dtype=np.int64))


def plain_search(found, weights, budget):
    """The same search with everything computed anew for each part."""
    parts, lengths, added = np.ones(found.shape[1]), [], []
    for _ in range(budget + 1):
        current = found / parts
        highest, squares = current.argmax(axis=1), np.square(current.max(axis=1))
        lengths.append(squares.sum() * (weights @ np.square(parts)))
        after = np.square(parts[highest] / (parts[highest] + 1))
        gain = np.bincount(highest, weights=squares * (1 - after), minlength=len(parts))
        if gain.max() <= 0:
            break
        parts[gain.argmax()] += 1
        added.append(int(gain.argmax()))
    return sorted(added[: int(np.argmin(lengths))])


@pytest.mark.parametrize("seed", range(20))
def test_the_search_is_the_plain_one(seed):
    rng = np.random.default_rng(seed)
    found = np.abs(rng.standard_normal((40, 30)) * np.exp(rng.standard_normal(30))).astype(np.float32)
    weights = np.exp(rng.standard_normal(30))
    copies = split(found, 12, weights).tolist()
    assert copies == plain_search(found, weights, 12)
    assert copies


def test_a_copy_lies_beside_a_row_without_weights():
    rows, shares = lay_out(np.array([2, 2, 5]), 6)
    assert rows[:6].tolist() == list(range(6))
    assert rows[6::2].tolist() == [2, 2, 5]
    assert shares.tolist() == pytest.approx([1, 1, 1 / 3, 1, 1, 1 / 2, 1 / 3, 0, 1 / 3, 0, 1 / 2])


@given(copies=st.lists(st.integers(0, 6), max_size=9), width=st.integers(7, 10))
def test_the_shares_of_a_component_make_up_a_whole(copies, width):
    rows, shares = lay_out(np.array(sorted(copies), dtype=np.int64), width)
    assert (rows.dtype, shares.dtype, rows.shape) == (np.int64, np.float32, shares.shape)
    np.testing.assert_allclose(np.bincount(rows, weights=shares, minlength=width), 1, rtol=1e-6)
    behind = shares[width:]
    assert not (behind[1:] * behind[:-1]).any()  # no two copies side by side


def test_without_copies_there_are_only_the_components():
    rows, shares = lay_out(np.empty(0, dtype=np.int64), 4)
    assert (rows.tolist(), shares.tolist()) == ([0, 1, 2, 3], [1, 1, 1, 1])
