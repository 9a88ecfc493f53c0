"""Which plan a call gets: every row once, and never the one that was reckoned slower."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.runtime.batching import plan_batches
from stonnx.runtime.fitting import Costs, cost_alone, cost_side_by_side, costs_of, fit_plan

FREE = Costs(alone=0, beside=0, serial=0)
PRECISIONS = ("fp32", "int8")
AREAS = st.lists(st.integers(1, 5000), min_size=1, max_size=40)
COSTS = st.builds(Costs, alone=st.floats(0, 20), beside=st.floats(20, 60), serial=st.floats(0, 1))


def batches(lengths, streams, *, equal_lengths=True):
    lengths = np.array(lengths, dtype=np.int64)
    plan = plan_batches(lengths, batch_tokens=1024, equal_lengths=equal_lengths, streams=streams)
    return [(rows, len(rows) * int(lengths[rows].max())) for rows in plan]


def way(lengths, precision, threads=2):
    return fit_plan(partial(batches, lengths), threads=threads, costs=costs_of(precision)).way


@given(
    lengths=st.lists(st.integers(1, 512), min_size=1, max_size=60),
    threads=st.integers(1, 16),
    costs=COSTS,
    equal_lengths=st.booleans(),
)
def test_every_row_once_and_the_quicker_plan(lengths, threads, costs, equal_lengths):
    make = partial(batches, lengths, equal_lengths=equal_lengths)
    plan = fit_plan(make, threads=threads, costs=costs)
    rows = np.concatenate([rows for rows, _ in plan.batches])
    assert sorted(rows.tolist()) == list(range(len(lengths)))
    alone = cost_alone([area for _, area in make(1)], threads=threads, costs=costs)
    beside = cost_side_by_side([area for _, area in make(threads)], threads=threads, costs=costs)
    if plan.way == "side by side":
        assert beside < 1.06 * alone
    else:
        assert len(make(threads)) == 1 or threads == 1 or alone <= beside


@given(areas=AREAS, threads=st.integers(1, 16), costs=COSTS)
def test_no_plan_is_quicker_than_its_longest_run_or_its_share_of_the_work(areas, threads, costs):
    found = cost_side_by_side(areas, threads=threads, costs=costs)
    places = min(threads, len(areas))
    overhead = costs.alone if len(areas) == 1 else costs.beside
    each = [costs.of_run(area, threads=threads / places, overhead=overhead) for area in areas]
    assert found >= max(each) - 1e-6
    assert found >= sum(each) / places - 1e-6
    assert found <= sum(each) / places + max(each) + 1e-6  # what a list of runs can be from the best, at most


@given(areas=AREAS, threads=st.integers(1, 16))
def test_without_overhead_and_serial_parts_nothing_beats_all_threads(areas, threads):
    assert cost_alone(areas, threads=threads, costs=FREE) == pytest.approx(sum(areas) / threads)
    assert cost_side_by_side(areas, threads=threads, costs=FREE) >= sum(areas) / threads - 1e-6


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("threads", [2, 4, 16])
def test_many_texts_side_by_side(precision, threads):
    lengths = np.random.default_rng(0).integers(4, 200, 600).tolist()
    assert way(lengths, precision, threads) == "side by side"


@pytest.mark.parametrize(
    ("precision", "lengths", "found"),
    [
        ("fp32", [16], "alone"),
        ("fp32", [16, 16], "alone"),
        ("fp32", [16, 9, 30], "alone"),
        ("int8", [16], "alone"),
        ("int8", [200], "here"),
        ("int8", [90, 70, 80, 60], "side by side"),
    ],
)
def test_few_texts(precision, lengths, found):
    assert way(lengths, precision) == found


def test_one_thread_has_nothing_to_share():
    assert way([5, 9, 200], "int8", threads=1) == "alone"
    assert fit_plan(partial(batches, []), threads=2, costs=costs_of("int8")).batches == []
