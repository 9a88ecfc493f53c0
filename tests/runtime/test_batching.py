from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stonnx.runtime.batching import plan_batches, plan_rows
from stonnx.runtime.token_rows import TokenRows, join_rows

lengths_strategy = hnp.arrays(np.int64, st.integers(0, 80), elements=st.integers(0, 40))


def rows_of(lengths: list[int], prompt: int | None = None) -> TokenRows:
    prompts = None if prompt is None else np.full(len(lengths), prompt)
    return TokenRows(
        ids=np.zeros(sum(lengths), dtype=np.int32),
        offsets=np.cumsum([0, *lengths]),
        truncated=0,
        prompt_lengths=prompts,
    )


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


@pytest.mark.parametrize("one", [True, False])
def test_prompts_share_batches_where_the_graph_takes_a_length_for_each_row(one):
    rows = join_rows([rows_of([5, 9], 3), rows_of([9, 5]), rows_of([5], 3)])
    plan = plan_rows(rows, batch_tokens=100, equal_lengths=True, streams=1, one_prompt_length=one)
    assert sorted(np.concatenate(plan).tolist()) == [0, 1, 2, 3, 4]
    prompts = [set(rows.prompt_lengths[batch].tolist()) for batch in plan]
    assert sorted(map(len, prompts)) == ([1, 1, 1, 1] if one else [2, 2])


def test_without_prompts_the_plan_is_that_of_the_lengths():
    rows = rows_of([5, 9, 5, 7, 1])
    plan = plan_rows(rows, batch_tokens=16, equal_lengths=False, streams=2, one_prompt_length=True)
    expected = plan_batches(rows.lengths, batch_tokens=16, equal_lengths=False, streams=2)
    assert [batch.tolist() for batch in plan] == [batch.tolist() for batch in expected]
