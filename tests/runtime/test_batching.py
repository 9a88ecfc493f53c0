from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stonnx.runtime.batching import plan_batches, stack_rows
from stonnx.runtime.tokenize import TokenRows

lengths_strategy = hnp.arrays(np.int64, st.integers(0, 80), elements=st.integers(0, 40))


def rows_of(*rows: list[int]) -> TokenRows:
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return TokenRows(ids=np.array([i for row in rows for i in row], dtype=np.int32), offsets=offsets, truncated=0)


@given(lengths=lengths_strategy, batch_tokens=st.integers(1, 300), equal=st.booleans())
def test_every_row_once_within_the_budget_longest_first(lengths, batch_tokens, equal):
    plan = plan_batches(lengths, batch_tokens=batch_tokens, equal_lengths=equal)
    assert all(len(batch) for batch in plan)
    assert sorted(np.concatenate([*plan, np.empty(0, np.int64)]).tolist()) == list(range(len(lengths)))
    longest = [max(1, int(lengths[batch].max())) for batch in plan]
    assert longest == sorted(longest, reverse=True)
    for batch, width in zip(plan, longest, strict=True):
        area = len(batch) * width
        assert area <= batch_tokens or len(batch) == 1
        tokens = np.maximum(lengths[batch], 1)
        if equal:
            assert (tokens == width).all()
        else:
            assert (area - tokens.sum()) * 8 <= area


@given(lengths=lengths_strategy, batch_tokens=st.integers(1, 300), equal=st.booleans())
def test_deterministic(lengths, batch_tokens, equal):
    first, second = (plan_batches(lengths, batch_tokens=batch_tokens, equal_lengths=equal) for _ in range(2))
    assert [b.tolist() for b in first] == [b.tolist() for b in second]


def test_equal_rows_are_split_evenly():
    plan = plan_batches(np.full(9, 10), batch_tokens=80, equal_lengths=True)
    assert [len(batch) for batch in plan] == [5, 4]
    assert plan[0].tolist() == [0, 1, 2, 3, 4]


def test_padding_is_used_where_it_is_cheap():
    assert len(plan_batches(np.array([16, 15, 16, 15]), batch_tokens=64, equal_lengths=False)) == 1
    assert len(plan_batches(np.array([16, 15, 16, 15]), batch_tokens=64, equal_lengths=True)) == 2
    assert len(plan_batches(np.array([16, 4]), batch_tokens=64, equal_lengths=False)) == 2


def test_a_row_over_the_budget_goes_alone():
    plan = plan_batches(np.array([5, 500, 5]), batch_tokens=20, equal_lengths=False)
    assert [batch.tolist() for batch in plan] == [[1], [0, 2]]


def test_stack_equal_rows_needs_no_mask():
    batch = stack_rows(rows_of([1, 2], [9], [3, 4]), np.array([2, 0]), pad_id=7, prompt_length=1)
    assert batch.input_ids.tolist() == [[3, 4], [1, 2]]
    assert batch.input_ids.dtype == np.int64
    assert batch.attention_mask is None
    assert batch.prompt_length == 1


def test_stack_pads_at_the_end():
    batch = stack_rows(rows_of([1, 2, 3], [9], [0, 0]), np.array([0, 1, 2]), pad_id=7, prompt_length=0)
    assert batch.input_ids.tolist() == [[1, 2, 3], [9, 7, 7], [0, 0, 7]]
    assert batch.attention_mask is not None
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert batch.attention_mask.dtype == np.int64


@pytest.mark.parametrize("index", [[0], [0, 1]])
def test_a_row_without_tokens_is_one_padding_token_in_any_company(index):
    batch = stack_rows(rows_of([], [5]), np.array(index), pad_id=7, prompt_length=0)
    assert batch.input_ids[0].tolist() == [7]
    assert batch.attention_mask is None


@given(lengths=lengths_strategy, equal=st.booleans())
def test_stacked_rows_are_the_rows(lengths, equal):
    rows = rows_of(*[list(range(1, 1 + n)) for n in lengths])
    for index in plan_batches(rows.lengths, batch_tokens=64, equal_lengths=equal):
        batch = stack_rows(rows, index, pad_id=0, prompt_length=0)
        assert not (equal and batch.attention_mask is not None)
        for ids, row in zip(batch.input_ids, index, strict=True):
            expected = np.zeros(batch.input_ids.shape[1], np.int64)
            expected[: lengths[row]] = np.arange(1, 1 + lengths[row])
            assert ids.tolist() == expected.tolist()


@given(lengths=lengths_strategy, batch_tokens=st.integers(1, 300), equal=st.booleans(), streams=st.integers(2, 5))
def test_streams_take_the_largest_area_first(lengths, batch_tokens, equal, streams):
    plan = plan_batches(lengths, batch_tokens=batch_tokens, equal_lengths=equal, streams=streams)
    assert sorted(np.concatenate([*plan, np.empty(0, np.int64)]).tolist()) == list(range(len(lengths)))
    areas = [len(batch) * max(1, int(lengths[batch].max())) for batch in plan]
    assert areas == sorted(areas, reverse=True)
    assert all(area <= batch_tokens or len(batch) == 1 for area, batch in zip(areas, plan, strict=True))


@pytest.mark.parametrize("equal", [True, False])
def test_few_rows_are_shared_among_streams(equal):
    plan = plan_batches(np.full(32, 20), batch_tokens=1024, equal_lengths=equal, streams=4)
    assert [len(batch) for batch in plan] == [8, 8, 8, 8]
    assert len(plan_batches(np.full(3, 20), batch_tokens=1024, equal_lengths=equal, streams=4)) == 1
