from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx._timing import RoundLimits, median, percentile, run_rounds, spread, spread_blocks
from stonnx.bench.plan import plan_rounds


def rounds_of(run, sides, calls, *, after_call=None, **limits):
    limits = RoundLimits(**{"deadline": 0, **limits})
    functions = (sides.a.run, sides.b.run)
    return list(run_rounds(functions, calls, limits=limits, clock=run.clock, after_call=after_call))


def test_rounds_are_interleaved_a_b_b_a(run):
    rounds_of(run, run.sides(1, 1), [["x", "y"]], fewest=4, most=4)
    assert [name for name, _ in run.calls] == ["a", "b", "b", "a", "a", "b", "b", "a"]


def test_each_side_gets_the_same_calls_and_its_own_time(run):
    (only,) = rounds_of(run, run.sides(1, 10), [["x", "y"], ["z"]], fewest=1, most=1)
    assert (only.a, only.b) == ((2, 1), (20, 10))
    assert [texts for name, texts in run.calls if name == "a"] == [texts for name, texts in run.calls if name == "b"]


def test_time_spent_in_the_callback_is_not_measured(run):
    told = []

    def slow(texts) -> None:
        told.append(texts)
        run.now += 100

    (only,) = rounds_of(run, run.sides(1, 2), [["x"]], fewest=1, most=1, after_call=slow)
    assert (only.a, only.b) == ((1,), (2,))
    assert told == [["x"], ["x"]]


def test_no_round_beyond_the_minimum_starts_after_the_deadline(run):
    assert len(rounds_of(run, run.sides(1, 1), [["x"]], deadline=9)) == 5  # two seconds each: the fifth starts at 8
    run.now = 0
    assert len(rounds_of(run, run.sides(1, 1), [["x"]])) == 3


@pytest.mark.parametrize(
    ("cost", "budget", "texts", "most"),
    [
        (0.125, 1000, 100, 15),  # plenty of time
        (0.125, 70, 100, 5),  # five rounds of all texts
        (0.125, 24, 64, 3),  # three rounds of fewer texts
        (0.125, 1, 20, 3),  # too little for anything: the minimum
        (0.0, 10, 100, 15),  # too quick for the clock
        (0.125, -1, 20, 3),  # the warm-up ate the budget
    ],
)
def test_plan(cost, budget, texts, most):
    plan = plan_rounds(cost, texts=100, min_texts=20, budget_s=budget)
    assert (plan.texts, plan.min_rounds, plan.max_rounds) == (texts, 3, most)


def test_plan_never_asks_for_more_texts_than_there_are():
    assert plan_rounds(1.0, texts=5, min_texts=20, budget_s=1).texts == 5


def test_median_and_percentile():
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5
    assert percentile(range(1, 101), 50) == 50
    assert percentile(range(1, 101), 95) == 95
    assert percentile([7.0], 95) == 7.0
    assert percentile([3, 1], 50) == 1


@given(st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1), st.integers(0, 100))
def test_percentile_is_the_least_value_that_enough_values_do_not_exceed(values, percent):
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9


@given(st.lists(st.text(), max_size=50), st.integers(1, 60))
def test_spread_keeps_order_and_reaches_both_halves(texts, count):
    chosen = spread([f"{index}" for index in range(len(texts))], count)
    assert len(chosen) == min(count, len(texts))
    assert list(chosen) == sorted(set(chosen), key=int)


def test_spread_is_even():
    assert spread([str(n) for n in range(10)], 5) == ("0", "2", "4", "6", "8")


@pytest.mark.parametrize("count", [1, 32, 33, 96, 200])
def test_blocks_are_neighbours_in_length(count):
    """Sorted by length and cut into batches, the chosen texts are batches of the whole, with the same padding."""
    texts = ["x" * (7919 * number % 400) + str(number) for number in range(400)]
    by_length = sorted(texts, key=len, reverse=True)
    blocks = [set(by_length[start : start + 32]) for start in range(0, 400, 32)]
    chosen = sorted(spread_blocks(texts, count, block=32), key=len, reverse=True)
    assert len(chosen) >= count
    assert all(set(chosen[start : start + 32]) in blocks for start in range(0, len(chosen), 32))


def test_blocks_keep_order_and_take_all_when_there_are_no_more():
    texts = [str(number) for number in range(50)]
    assert spread_blocks(texts, 40, block=32) == tuple(texts)
    chosen = spread_blocks(texts, 1, block=32)
    assert [int(text) for text in chosen] == sorted(map(int, chosen))
