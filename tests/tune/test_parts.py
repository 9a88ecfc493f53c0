"""Races, settings, picks and memory, by themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stonnx.artifact import Fidelity
from stonnx.runtime.streams import RunSettings
from stonnx.tune import memory
from stonnx.tune.options import budgets_to_try, threads_to_try
from stonnx.tune.race import run_race
from stonnx.tune.report import Row, frontier, pick


class Clock:
    """Stands still but for what the sides take."""

    def __init__(self):
        self.now = 0.0
        self.order = []

    def __call__(self):
        return self.now

    def side(self, name, *seconds):
        costs = list(seconds)

        def encode(_):
            self.order.append(name)
            self.now += costs.pop(0) if len(costs) > 1 else costs[0]

        return encode


def test_sides_take_turns_and_a_slow_start_does_not_count():
    clock = Clock()
    race = run_race(clock.side("base", 2.0), clock.side("new", 50.0, 1.0), [["a"]], budget_s=0.1, clock=clock)
    assert clock.order == ["new", "base", "new", "new", "base", "base", "new"]
    assert (race.ratio, race.base_s) == (2.0, 2.0)


def test_one_busy_moment_does_not_count():
    clock = Clock()
    race = run_race(clock.side("base", 2, 2, 2, 2), clock.side("new", 1, 1, 9, 1), [["a"]], budget_s=0.1, clock=clock)
    assert race.ratio == 2.0


def test_rounds_end_with_the_time_or_at_fifteen():
    clock = Clock()
    run_race(clock.side("base", 1), clock.side("new", 1), [["a"]], budget_s=9, clock=clock)
    assert clock.order.count("base") == 5
    clock = Clock()
    run_race(clock.side("base", 1), clock.side("new", 1), [["a"]], budget_s=1e9, clock=clock)
    assert clock.order.count("base") == 15


@pytest.mark.parametrize(
    ("threads", "aim", "found"),
    [
        (1, "throughput", []),
        (2, "throughput", [(2, 2)]),
        (4, "throughput", [(4, 4)]),
        (16, "throughput", [(16, 16), (16, 4)]),
        (1, "latency", []),
        (2, "latency", [(1, 1)]),
        (16, "latency", [(8, 1), (4, 1)]),
    ],
)
def test_threads_to_try(threads, aim, found):
    tried = threads_to_try(RunSettings(threads=threads), aim)
    assert [(settings.threads, settings.streams) for settings in tried] == found


@pytest.mark.parametrize(("tokens", "found"), [(1024, [512, 2048]), (512, [256]), (2048, [4096])])
def test_budgets_to_try(tokens, found):
    default = RunSettings(threads=2, batch_tokens=1024)
    tried = budgets_to_try(RunSettings(threads=2, streams=2, batch_tokens=tokens), default)
    assert [settings.batch_tokens for settings in tried] == found
    assert {settings.streams for settings in tried} == {2}


def row(speed, found, mean=1.0):
    return Row(
        variant=f"v{speed}",
        engine="fake 1",
        settings=RunSettings(threads=1),
        texts_per_second=speed,
        ratio=1.0,
        latency_ms=1e3 / speed,
        fidelity=Fidelity(texts=9, cosine_mean=mean, cosine_min=mean, max_abs_diff=0.0, top10_overlap=1.0),
        found=found,
        size_bytes=1,
        load_s=0.1,
        memory_bytes=None,
    )


ROWS = [
    row(100, "exact"),
    row(101, "exact"),
    row(150, "lossless"),
    row(152, "high"),
    row(300, "balanced"),
    row(900, None),
]


@pytest.mark.parametrize(("wanted", "index"), [("lossless", 2), ("high", 2), ("balanced", 4)])
@pytest.mark.parametrize("aim", ["throughput", "latency"])
def test_pick_is_the_fastest_that_keeps_the_class_and_ignores_noise(wanted, index, aim):
    assert pick(ROWS, wanted=wanted, aim=aim) == index


def test_pick_prefers_the_earlier_variant_whatever_was_measured_first():
    first, second = row(100, "exact"), row(90, "exact")
    rows = [first, second, replace(second, texts_per_second=150), replace(first, texts_per_second=149)]
    assert pick(rows, wanted="high", aim="throughput") == 3


def test_pick_may_find_nothing():
    assert pick([row(900, None), row(5, "balanced")], wanted="high", aim="throughput") is None


def test_frontier_is_what_no_other_row_beats():
    rows = [*ROWS, row(90, "lossless"), row(120, "high", 0.9), row(101, "exact")]
    assert frontier(rows, aim="throughput") == {1, 2, 3, 4, 5, 8}  # equals are both on it


def test_memory(monkeypatch, tmp_path):
    found = memory.resident_bytes()
    assert found is None or found > 10_000_000
    monkeypatch.setattr(memory, "_STATM", tmp_path / "absent")
    assert memory.resident_bytes() is None
