"""A model that runs section by section gives what its graph gives, whatever ran before, and opens no section twice."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stonnx.graph import WeightFile
from stonnx.quantize.layered import LayeredModel
from stonnx.quantize.sessions import Runner, make_batches

pytest.importorskip("onnxruntime")

LAYERS = 3
CHOICES = ("float32", "projection", "closer")


class Counting(Runner):
    """Counts the graphs that it opens."""

    opened = 0

    def open(self, model):
        self.opened += 1
        return super().open(model)


@contextlib.contextmanager
def opened(work):
    """A layered model of a setup, and what runs it."""
    data = work.folder / "trial.onnx_data"
    with Counting(work.folder) as runner, WeightFile(data) as weights:
        yield LayeredModel(work.workspace, runner, weights), runner
    data.unlink()


def chosen(candidates, choice):
    """What is int8 with a choice for each layer."""
    found = {}
    for site, candidate in candidates.items():
        kind = choice[int(site.split(".")[1])]
        if kind != "float32":
            found[site] = getattr(candidate, kind)
    return found


def run(model, work, projections):
    batches = make_batches(work.held_out)
    hidden = model.embed(batches)
    for number in range(model.layer_count):
        hidden = model.layer(number, batches, hidden, projections)
    return model.head(batches, hidden, output="sentence_embedding", width=work.workspace.blueprint.dimension)


@pytest.fixture
def work(make_setup):
    return make_setup(layers=LAYERS)


@given(choices=st.lists(st.tuples(*[st.sampled_from(CHOICES)] * LAYERS), min_size=1, max_size=4))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_choice_gives_what_its_graph_gives(work, choices):
    candidates = work.candidates()
    with opened(work) as (model, _):
        for choice in choices:
            projections = chosen(candidates, choice)
            np.testing.assert_array_equal(run(model, work, projections), work.vectors(projections)[0])


def test_a_layer_is_opened_again_only_where_its_choice_changes(work):
    candidates = work.candidates()
    with opened(work) as (model, runner):
        counts = []
        for choice in (
            ("closer", "closer", "closer"),
            ("closer", "closer", "closer"),
            ("closer", "float32", "closer"),
            ("closer", "float32", "projection"),
            ("closer", "closer", "projection"),  # only what ran last stays open
        ):
            before = runner.opened
            run(model, work, chosen(candidates, choice))
            counts.append(runner.opened - before)
    assert counts == [1 + LAYERS + 1, 0, 1, 1, 1]


def test_float32_layers_that_share_weights_are_opened_once(make_setup):
    work = make_setup(family="albert", layers=LAYERS)
    with opened(work) as (model, runner):
        run(model, work, {})
        assert runner.opened == 1 + 1 + 1


def test_several_hidden_states_go_through_a_layer_together(work):
    batches = make_batches(work.held_out)
    with opened(work) as (model, _):
        first = model.embed(batches)
        second = model.layer(0, batches, first, {})
        together = model.follow(1, batches, [first, second])
        for hidden, found in zip((first, second), together, strict=True):
            for one, other in zip(found, model.layer(1, batches, hidden, {}), strict=True):
                np.testing.assert_array_equal(one, other)
        assert model.follow(1, batches, []) == []


def test_the_float32_tensors_are_not_written_again(work):
    """Only integers and what belongs to them go to the file of trials."""
    with opened(work) as (model, _):
        run(model, work, {})
        assert (work.folder / "trial.onnx_data").stat().st_size == 0
        run(model, work, chosen(work.candidates(), CHOICES))
        assert (work.folder / "trial.onnx_data").stat().st_size > 0


def test_how_many_cores_there_are_changes_nothing(work, monkeypatch):
    found = []
    for cores in (1, 3):
        monkeypatch.setattr("stonnx.quantize.sessions.usable_cores", lambda cores=cores: cores)
        with opened(work) as (model, _):
            found.append(run(model, work, chosen(work.candidates(), CHOICES)))
    np.testing.assert_array_equal(*found)
