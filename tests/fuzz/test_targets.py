"""A moment of fuzzing, always the same: every seed, and some mutations of each. More: ``make fuzz``."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, seeds


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_is_read_or_refused(name):
    for data in seeds(TARGETS[name]):
        TARGETS[name].read(data)


def test_the_examples_are_good(monkeypatch):
    """A seed that is refused at once would find nothing behind the refusal."""
    refused = []

    @contextlib.contextmanager
    def noted(*errors):
        try:
            yield
        except errors as error:
            refused.append(error)

    monkeypatch.setattr("tests.fuzz.targets.contextlib.suppress", noted)
    for name in ("manifest", "goldens", "cross_encoder", "settings", "tokenizer", "vocabulary"):
        for data in TARGETS[name].examples:
            TARGETS[name].read(data)
            assert not refused, f"{name}: {refused}"


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False), number=st.integers(0, 100), junk=st.binary(max_size=40))
def test_broken_seeds_are_read_or_refused(name, rng, number, junk):
    target = TARGETS[name]
    good = seeds(target)
    target.read(mutated(good[number % len(good)], rng, [*good, junk]))
    target.read(junk)
