"""The phases by themselves: each adds to what it was given, and none goes on once the time is up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stonnx.errors import RunError
from stonnx.runtime.streams import RunSettings
from stonnx.tune.options import TuneOptions
from stonnx.tune.phases import Found, Phases, races_of_settings
from tests.tune.test_parts import row

DEFAULT = RunSettings(threads=4, batch_tokens=1024)


class FakeContest:
    """A race takes a second and ends with the speed that ``speeds`` says for a variant, streams and budget."""

    def __init__(self, **speeds):
        self.now, self.speeds = 0.0, speeds

    def clock(self):
        return self.now

    def raced(self, name, settings):
        self.now += 1
        loaded = SimpleNamespace(variant=SimpleNamespace(name=name))
        return SimpleNamespace(loaded=loaded, settings=settings)

    def race_variant(self, variant):
        if variant.name == "broken":
            raise RunError("The engine gave up.")
        return self.raced(variant.name, DEFAULT)

    def race_settings(self, loaded, settings):
        return self.raced(loaded.variant.name, settings)

    def rows(self, raced):
        return tuple(self.row(candidate.loaded.variant.name, candidate.settings) for candidate in raced)

    def row(self, name, settings):
        made = row(self.speeds[name] * settings.streams * 1024 / settings.batch_tokens, "exact")
        return made.__class__(**{**made.__dict__, "variant": name, "settings": settings})


def phases(contest, *, deadline=100.0, aim="throughput"):
    steps = []
    made = Phases(
        contest=contest, options=TuneOptions(aim=aim), default=DEFAULT, deadline=deadline, on_step=steps.append
    )
    return made, steps


def tried(found):
    return [(r.loaded.variant.name, r.settings.streams, r.settings.batch_tokens) for r in found.raced]


def variant(name):
    return SimpleNamespace(name=name)


def test_each_phase_adds_to_what_was_found_before():
    contest = FakeContest(base=10, fast=20)
    run, _ = phases(contest)
    start = Found(raced=(contest.raced("base", DEFAULT),))
    variants = run.variants(start, [variant("broken"), variant("fast")])
    assert tried(variants) == [("base", 1, 1024), ("fast", 1, 1024)]
    assert [(s.name, s.reason) for s in variants.skipped] == [("broken", "The engine gave up.")]
    threads = run.other_threads(variants)
    assert tried(threads) == [*tried(variants), ("fast", 4, 1024)]  # the base is too slow to win
    budgets = run.other_budgets(threads)
    assert tried(budgets)[3:] == [("fast", 4, 512), ("fast", 4, 2048), ("fast", 4, 256)]
    assert tried(start) == [("base", 1, 1024)]


def test_two_of_about_the_same_speed_are_both_tried():
    contest = FakeContest(base=10, near=9, far=5)
    run, _ = phases(contest)
    found = Found(raced=tuple(contest.raced(name, DEFAULT) for name in ("base", "near", "far")))
    assert tried(run.other_threads(found))[3:] == [("base", 4, 1024), ("near", 4, 1024)]


def test_no_phase_goes_on_once_the_time_is_up():
    contest = FakeContest(base=10, fast=20)
    run, steps = phases(contest, deadline=1.5)
    found = run.variants(Found(raced=(contest.raced("base", DEFAULT),)), [variant("fast")])
    found = run.other_budgets(run.other_threads(found))
    assert tried(found) == [("base", 1, 1024), ("fast", 1, 1024)]
    assert [(s.name, s.reason) for s in found.skipped] == [
        ("fast, 4 x 1 threads and other settings", "no time was left")
    ]
    assert steps == ["measuring fast"]


def test_one_text_is_one_batch():
    contest = FakeContest(base=10)
    run, _ = phases(contest, aim="latency")
    found = Found(raced=(contest.raced("base", DEFAULT),))
    assert run.other_budgets(found) is found


@pytest.mark.parametrize(("aim", "races"), [("throughput", 2 * 1 + 3), ("latency", 2 * 2)])
def test_races_of_settings(aim, races):
    assert races_of_settings(DEFAULT, TuneOptions(aim=aim)) == races
