"""Which projections are computed more closely: as few as a bisection finds, in the order of their gain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.artifact import Fidelity
from stonnx.graph.quantized import FixedRange, QuantizedMatrix, QuantizedProjection, ScalePerToken
from stonnx.quantize.projections import Candidate
from stonnx.quantize.selection import Step, select_steps, steps_by_gain


def fidelity(mean):
    return Fidelity(texts=100, cosine_mean=mean, cosine_min=0.995, max_abs_diff=0.01, top10_overlap=0.995)


class Model:
    """A model that is close enough once ``needed`` steps are taken, and what was asked of it."""

    def __init__(self, needed, *, below=0.9, above=0.99999):
        self.needed, self.below, self.above = needed, below, above
        self.asked = []

    def __call__(self, taken):
        self.asked.append(taken)
        return fidelity(self.above if len(taken) >= self.needed else self.below)


def some_steps(count):
    return tuple(Step(f"layer.{number}", "per token") for number in range(count))


@given(count=st.integers(1, 60), share=st.floats(0, 1))
def test_the_smallest_number_of_steps_in_few_measurements(count, share):
    needed = round(share * count)
    model, steps = Model(needed), some_steps(count)
    found = select_steps(steps, model, wanted="balanced")
    assert found.steps == steps[:needed]
    assert found.fidelity == fidelity(0.99999)
    assert len(model.asked) == len(set(model.asked)) <= 2 + math.ceil(math.log2(count))


def test_where_nothing_is_needed_one_measurement_is_enough():
    model = Model(0)
    found = select_steps(some_steps(30), model, wanted="high")
    assert (found.steps, found.reached, model.asked) == ((), "lossless", [()])


def test_where_all_steps_are_too_few_there_is_no_choice():
    model = Model(31)
    assert select_steps(some_steps(30), model, wanted="balanced") is None
    assert len(model.asked) == 2


def test_without_steps_the_cheapest_model_is_all_there_is():
    assert select_steps((), Model(0), wanted="balanced").steps == ()
    assert select_steps((), Model(1), wanted="balanced") is None


@pytest.mark.parametrize(("wanted", "bound"), [("lossless", 0.9999), ("high", 0.999), ("balanced", 0.997)])
def test_a_class_is_wanted_with_some_room_to_spare(wanted, bound):
    lost = 1 - bound
    bare, spare = Model(3, below=1 - 0.98 * lost), Model(3, below=1 - 0.9 * lost)
    assert len(select_steps(some_steps(8), bare, wanted=wanted).steps) == 3
    assert select_steps(some_steps(8), spare, wanted=wanted).steps == ()


def test_the_class_that_is_told_is_the_one_that_was_measured():
    found = select_steps(some_steps(4), Model(2, above=0.9995), wanted="balanced")
    assert (len(found.steps), found.reached) == (2, "high")


def candidate(site, *, into=8, out=8, noise=0.2, closer_noise=0.1, movable=True):
    matrix = QuantizedMatrix(values=np.zeros((into, out), np.int8), scales=np.ones(out, np.float32))
    around = ScalePerToken(multipliers=None, zero_point=128)
    projection, closer = (
        QuantizedProjection(input=how, matrices=(matrix,))
        for how in (FixedRange(multipliers=None, scale=1.0, zero_point=128) if movable else around, around)
    )
    return Candidate(
        site=site,
        projection=projection,
        closer=closer if movable else projection,
        noise=noise,
        closer_noise=closer_noise,
    )


def of_kind(steps, kind):
    return [step.site for step in steps if step.kind == kind]


def test_scales_per_token_come_first_by_what_they_gain_per_activation():
    steps = steps_by_gain(
        (
            candidate("little", noise=0.11),
            candidate("much, but wide", noise=0.5, into=64, out=64),
            candidate("much", noise=0.5),
            candidate("as close as it gets", noise=0.9, closer_noise=0.9, movable=False),
        )
    )
    assert of_kind(steps, "per token") == ["much", "much, but wide", "little"]
    assert [step.kind for step in steps] == ["per token"] * 3 + ["float32"] * 2


def test_float32_goes_where_a_weight_carries_the_most_noise():
    steps = steps_by_gain(
        (
            candidate("quiet", closer_noise=0.01),
            candidate("loud, but large", closer_noise=0.3, into=64, out=64),
            candidate("loud", closer_noise=0.3),
            candidate("less loud", closer_noise=0.2),
        )
    )
    assert of_kind(steps, "float32") == ["loud", "less loud"]


@given(noises=st.lists(st.floats(0, 1), max_size=12))
def test_at_most_half_of_the_projections_stay_in_float32(noises):
    candidates = tuple(candidate(str(number), closer_noise=noise) for number, noise in enumerate(noises))
    steps = steps_by_gain(candidates)
    assert len(of_kind(steps, "float32")) == len(noises) // 2
    assert sorted(of_kind(steps, "per token"), key=int) == [str(number) for number in range(len(noises))]
    assert len(set(steps)) == len(steps)
