"""Which projections are computed more closely: as few as a bisection finds, in the order of their gain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.artifact import Fidelity
from stonnx.artifact.fidelity_class import allowed_losses
from stonnx.graph.quantized import FixedRange, QuantizedMatrix, QuantizedProjection, ScalePerToken
from stonnx.quantize.projections import Candidate
from stonnx.quantize.selection import Rung, closer_rungs, float_rungs, select_rungs

ALLOWED = allowed_losses(Fidelity, "high")


def fidelity(mean):
    return Fidelity(texts=100, cosine_mean=mean, cosine_min=0.995, max_abs_diff=0.01, top10_overlap=0.995)


class Model:
    """A model that is close enough once ``needed`` rungs are taken, and what was asked of it."""

    def __init__(self, needed, *, below=0.9, above=0.99999):
        self.needed, self.below, self.above = needed, below, above
        self.asked = []

    def __call__(self, taken):
        self.asked.append(taken)
        return fidelity(self.above if len(taken) >= self.needed else self.below)


def some_rungs(count):
    return tuple(Rung(f"layer.{number}", "closer") for number in range(count))


def one_stage(count):
    return (lambda: some_rungs(count),)


@given(count=st.integers(1, 60), share=st.floats(0, 1))
def test_the_smallest_number_of_steps_in_few_measurements(count, share):
    needed = round(share * count)
    model = Model(needed)
    found = select_rungs(one_stage(count), model, wanted="balanced")
    assert found.rungs == some_rungs(count)[:needed]
    assert found.fidelity == fidelity(0.99999)
    assert len(model.asked) == len(set(model.asked)) <= 2 + math.ceil(math.log2(count))


@given(first=st.integers(0, 20), second=st.integers(0, 20), share=st.floats(0, 1))
def test_a_later_stage_is_asked_for_only_when_it_is_needed(first, second, share):
    stages = [tuple(Rung(f"{kind}.{n}", kind) for n in range(k)) for kind, k in (("token", first), ("float32", second))]
    needed, asked = round(share * (first + second)), []
    model = Model(needed)
    found = select_rungs((lambda: stages[0], lambda: asked.append(1) or stages[1]), model, wanted="balanced")
    assert found.rungs == (*stages[0], *stages[1])[:needed]
    assert len(asked) == (needed > first)
    assert len(model.asked) == len(set(model.asked))


def test_where_nothing_is_needed_one_measurement_is_enough():
    model = Model(0)
    found = select_rungs(one_stage(30), model, wanted="high")
    assert (found.rungs, found.reached, model.asked) == ((), "lossless", [()])


def test_where_all_steps_are_too_few_there_is_no_choice():
    model = Model(31)
    assert select_rungs(one_stage(30), model, wanted="balanced") is None
    assert len(model.asked) == 2


def test_without_steps_the_cheapest_model_is_all_there_is():
    assert select_rungs((), Model(0), wanted="balanced").rungs == ()
    assert select_rungs((), Model(1), wanted="balanced") is None
    assert select_rungs(one_stage(0), Model(1), wanted="balanced") is None


@pytest.mark.parametrize(("wanted", "bound"), [("lossless", 0.9999), ("high", 0.999), ("balanced", 0.997)])
def test_a_class_is_wanted_with_some_room_to_spare(wanted, bound):
    lost = 1 - bound
    bare, spare = Model(3, below=1 - 0.95 * lost), Model(3, below=1 - 0.85 * lost)
    assert len(select_rungs(one_stage(8), bare, wanted=wanted).rungs) == 3
    assert select_rungs(one_stage(8), spare, wanted=wanted).rungs == ()


def test_the_class_that_is_told_is_the_one_that_was_measured():
    found = select_rungs(one_stage(4), Model(2, above=0.9995), wanted="balanced")
    assert (len(found.rungs), found.reached) == (2, "high")


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


def sites(rungs, kind):
    assert {rung.kind for rung in rungs} <= {kind}
    return [rung.site for rung in rungs]


def test_closer_inputs_by_what_they_gain_per_activation():
    rungs = closer_rungs(
        (
            candidate("little", noise=0.11),
            candidate("much, but wide", noise=0.5, into=64, out=64),
            candidate("much", noise=0.5),
            candidate("as close as it gets", noise=0.9, closer_noise=0.9, movable=False),
        )
    )
    assert sites(rungs, "closer") == ["much", "much, but wide", "little"]


def drift(**losses):
    return {name.replace("_", " "): np.array(values, dtype=np.float32) for name, values in losses.items()}


def test_float32_goes_where_a_weight_loses_the_most_of_what_the_class_allows():
    candidates = tuple(
        candidate(name, into=size, out=size)
        for name, size in (
            ("quiet", 8),
            ("loud but large", 64),
            ("loud", 8),
            ("one text", 8),
            ("less loud", 8),
            ("no", 8),
        )
    )
    found = drift(
        quiet=[1e-5, 1e-5],
        loud_but_large=[3e-4, 3e-4],
        loud=[3e-4, 3e-4],
        one_text=[0.0, 4e-4],  # mean 2e-4: 0.2 of what "high" allows; and 0.04 of its lowest cosine
        less_loud=[2e-4, 2e-4],  # the same 0.2, and 0.02
        no=[0.0, 0.0],
    )
    assert sites(float_rungs(candidates, found, allowed=ALLOWED), "float32") == ["loud", "one text", "less loud"]


@given(losses=st.lists(st.floats(0, 1), max_size=12))
def test_at_most_half_of_the_projections_stay_in_float32(losses):
    candidates = tuple(candidate(str(number)) for number in range(len(losses)))
    rungs = float_rungs(candidates, {str(n): np.array([loss]) for n, loss in enumerate(losses)}, allowed=ALLOWED)
    assert len(sites(rungs, "float32")) == len(losses) // 2
    kept = [losses[int(rung.site)] for rung in rungs]
    assert kept == sorted(losses, reverse=True)[: len(kept)]
    assert len(set(rungs)) == len(rungs)
