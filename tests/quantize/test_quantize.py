"""``quantize`` from a tiny model to integers: what comes out, what it was measured to be, and what it leaves."""

from __future__ import annotations

import dataclasses
import weakref

import numpy as np
import pytest

from stonnx._steps import Telling
from stonnx.artifact.fidelity_class import BOUNDS
from stonnx.errors import RunError
from stonnx.graph.architectures import FAMILIES
from stonnx.graph.quantized import FixedRange, ScalePerToken
from stonnx.graph.quantized_blocks import tensor_stem
from stonnx.quantize import calibration, trials
from stonnx.quantize.selection import Selection
from stonnx.quantize.sessions import Runner
from stonnx.quantize.statistics import join
from stonnx.verify.metrics import compare
from tests.quantize.setups import TARGETS, losses

pytest.importorskip("onnxruntime")


def largest(model):
    return max(int(np.abs(m.values.astype(int)).max()) for p in model.projections.values() for m in p.matrices)


def largest_pair(model):
    """Of two integers that the processor may add in an int16."""
    matrices = [m.values.astype(int) for p in model.projections.values() for m in p.matrices]
    return max(int(np.abs(m[0::2][: len(m) // 2] + m[1::2]).max()) for m in matrices)


def same(one, other):
    """Whether two projections quantise their input alike and have the same integers."""
    np.testing.assert_equal(vars(one.input), vars(other.input))
    assert type(one.input) is type(other.input)
    np.testing.assert_array_equal(one.copies, other.copies)
    for left, right in zip(one.matrices, other.matrices, strict=True):
        np.testing.assert_array_equal(left.values, right.values)
        np.testing.assert_array_equal(left.scales, right.scales)
    return True


# The kinds of rungs that it takes to reach what the targets ask for.
KINDS = {"bert": {"closer", "float32"}, "mpnet": {"closer"}}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_target_gets_its_model(make_setup, family):
    """What comes out is the cheapest way for every projection, but for the rungs that are named."""
    work = make_setup(family=family, max_tokens=48)
    before = {path.name: path.read_bytes() for path in work.folder.iterdir()}
    steps, targets = [], (("lossless", "high", "balanced"), ("high", "balanced"), ("balanced",))
    models = work.quantize(targets, tell=Telling(step=steps.append))
    only_if_needed = ("measuring the drift of each projection", "choosing what stays in float32")
    assert [step for step in steps if step not in only_if_needed] == [
        "calibrating and rounding layer by layer",
        *(f"choosing what the class {' or '.join(names)} needs" for names in targets),
    ]
    candidates = work.candidates()
    for model in models:
        assert largest(model) == 127
        assert largest_pair(model) in (127, 128)
        chosen = {rung.site: rung.kind for rung in model.selection.rungs}  # float32 comes after closer
        kept = {site for site, kind in chosen.items() if kind == "float32"}
        assert model.projections.keys() == candidates.keys() - kept
        for site, projection in model.projections.items():
            candidate = candidates[site]
            assert same(projection, candidate.closer if site in chosen else candidate.projection)
        assert model.selection.fidelity.texts == 40
    kinds = {rung.kind for model in models for rung in model.selection.rungs}
    assert kinds == KINDS.get(family, kinds)
    assert {path.name: path.read_bytes() for path in work.folder.iterdir()} == before


def test_the_first_class_that_can_be_reached_decides(make_setup):
    first, last = make_setup(max_tokens=48, family="mpnet").quantize((("high", "balanced"), ("balanced", "high")))
    assert len(first.selection.rungs) > len(last.selection.rungs) == 0


def test_the_class_is_reached_by_what_comes_out(make_setup):
    work = make_setup()
    model = work.quantize(TARGETS[:1])[0]
    assert model.selection.reached in ("lossless", "high")
    found = compare(*work.vectors(model.projections)).fidelity
    # That one is a mean over 5 to 15 neighbours.
    assert found.top10_overlap == pytest.approx(model.selection.fidelity.top10_overlap, abs=0.02)
    assert dataclasses.replace(found, top10_overlap=model.selection.fidelity.top10_overlap) == model.selection.fidelity
    assert model.selection.fidelity.max_abs_diff > 1e-5  # these are integers


def after_activation(site):
    return site.endswith(".feed_forward.output")


def test_inputs_are_quantised_as_their_kind_asks(make_setup):
    (model,) = make_setup().quantize((("balanced",),))
    assert model.selection.rungs == ()
    assert sum(map(after_activation, model.projections)) == 2
    for site, projection in model.projections.items():
        if after_activation(site):
            assert isinstance(projection.input, ScalePerToken)
            assert projection.input.lower_bound < 0
            assert projection.input.multipliers is None
        else:
            assert isinstance(projection.input, FixedRange)
            assert projection.input.multipliers.min() < 1 < projection.input.multipliers.max()
        maps = 3 if site.endswith(".attention") else 1
        assert len(projection.matrices) == maps


def test_closer_inputs_have_a_scale_per_token(make_setup):
    (model,) = make_setup(max_tokens=48).quantize((("lossless",),))
    closer = {rung.site for rung in model.selection.rungs if rung.kind == "closer"} & model.projections.keys()
    assert {after_activation(site) for site in closer} == {True, False}
    for site in closer:
        how = model.projections[site].input
        assert isinstance(how, ScalePerToken)
        assert how.multipliers.min() < 1
        if after_activation(site):
            assert how.lower_bound < 0
            assert how.multipliers.max() <= 1  # a larger one would take components below the bound
        else:
            assert how.lower_bound is None


def test_weights_are_the_models(make_setup):
    """Integers times scales, multipliers taken out again, come to the weights of the checkpoint."""
    work = make_setup()
    (model,) = work.quantize((("balanced",),))
    blocks = work.projections()
    for site, projection in model.projections.items():
        for matrix, linear in zip(projection.matrices, blocks[site].linears, strict=True):
            weight = work.workspace.blueprint.parameters.get(linear.weight).T
            found = matrix.values * matrix.scales
            if projection.input.multipliers is not None:
                found *= projection.input.multipliers[:, None]
            assert np.abs(found - weight).max() < 0.05 * np.abs(weight).max()


def test_deterministic(make_setup):
    work = make_setup()
    for first, second in zip(work.quantize(), work.quantize(), strict=True):
        assert first.selection == second.selection
        assert first.projections.keys() == second.projections.keys()
        assert all(same(projection, second.projections[site]) for site, projection in first.projections.items())


def test_where_no_class_is_reached_the_cheapest_model_says_so(make_setup, monkeypatch):
    monkeypatch.setattr("stonnx.quantize.selection.class_failures", lambda *_, **__: ("too far",))
    monkeypatch.setattr("stonnx.quantize.trials.classify", lambda _: None)
    (model,) = make_setup().quantize(TARGETS[:1])
    assert (model.selection.rungs, model.selection.reached) == ((), None)
    assert len(model.projections) == 8


@pytest.mark.parametrize("moment", ["rounding", "measuring", "drift"])
def test_an_interrupt_leaves_no_trial(make_setup, moment, monkeypatch):
    work = make_setup()
    before = sorted(path.name for path in work.folder.iterdir())

    def interrupted(*_, **__):
        assert ("trial.onnx_data" in {path.name for path in work.folder.iterdir()}) == (moment != "rounding")
        raise KeyboardInterrupt

    where = {"rounding": "run.quantize_layer", "measuring": "yardsticks.compare", "drift": "trials.float_rungs"}
    name = f"stonnx.quantize.{where[moment]}"
    monkeypatch.setattr(name, interrupted)
    monkeypatch.setattr("stonnx.quantize.selection.class_failures", lambda *_, **__: ("too far",))
    with pytest.raises(KeyboardInterrupt):
        work.quantize()
    assert sorted(path.name for path in work.folder.iterdir()) == before


def test_the_statistics_of_a_layer_go_before_the_next_layer_runs(make_setup, monkeypatch):
    energies, watch = [], calibration._watch

    def watching(*given):
        assert not [energy for energy in energies if energy() is not None]
        found = watch(*given)
        energies.extend(weakref.ref(statistics.energy) for statistics in found.values())
        return found

    monkeypatch.setattr(calibration, "_watch", watching)
    make_setup(layers=3).quantize((("balanced",),))
    assert len(energies) == 3 * 4


def test_odd_texts_count_for_the_lowest_cosine_alone(make_setup):
    work = make_setup()
    target = (("balanced",),)
    natural, some = (work.quantize(target, natural=count)[0].selection.fidelity for count in (40, 25))
    assert (natural.texts, some.texts) == (40, 40)
    assert natural.cosine_min == some.cosine_min
    assert natural.cosine_mean != some.cosine_mean


def test_float32_goes_where_drift_was_measured(make_setup, monkeypatch):
    """What is kept in float32 where every rung is taken is the half that hurts the most by itself."""
    work, drifts, losses_allowed = make_setup(), [], []
    original = trials.float_rungs

    def recording(candidates, drift, *, allowed):
        drifts.append(drift)
        losses_allowed.append(allowed)
        return original(candidates, drift, allowed=allowed)

    def take_all(stages, measure, *, wanted):
        rungs = tuple(rung for stage in stages for rung in stage())
        return Selection(rungs=rungs, fidelity=measure(rungs), reached=wanted)

    monkeypatch.setattr(trials, "float_rungs", recording)
    monkeypatch.setattr(trials, "select_rungs", take_all)
    high, balanced = work.quantize((("high",), ("balanced",)))
    assert drifts[0] is drifts[1]  # measured once
    bounds = [BOUNDS[name] for name in ("high", "balanced")]
    assert losses_allowed == [(1 - bound.cosine_mean, 1 - bound.cosine_min) for bound in bounds]

    candidates = work.candidates()
    assert drifts[0].keys() == candidates.keys()
    all_closer, nothing = (
        work.vectors({site: candidate.closer for site, candidate in candidates.items()}),
        work.vectors({})[0],
    )
    order = np.argsort(-losses(*all_closer))
    measured_on = [*order[:4], *order[4::16]]  # the four that suffer the most, and one in sixteen of the others
    alone = {
        site: losses(work.vectors({site: found.closer})[0], nothing)[measured_on] for site, found in candidates.items()
    }
    for site, found in drifts[0].items():
        np.testing.assert_allclose(found, alone[site], rtol=0.01, atol=1e-6)
    assert max(drift.max() for drift in alone.values()) > 2e-5

    for model, bound in zip((high, balanced), bounds, strict=True):
        worth = {
            site: (drift.mean() / (1 - bound.cosine_mean) + drift.max() / (1 - bound.cosine_min))
            / candidates[site].weights
            for site, drift in alone.items()
        }
        best = sorted(worth, key=worth.get, reverse=True)[:4]
        assert candidates.keys() - model.projections.keys() == set(best)


def test_after_an_activation_the_closer_input_is_balanced(make_setup):
    """Rounded twice, and not the same integers: their tensors go by names of their own."""
    candidates = make_setup().candidates().values()
    activated = [found for found in candidates if after_activation(found.site)]
    assert len(activated) == 2
    for found in activated:
        assert found.projection.input.multipliers is None
        assert found.closer.input.multipliers is not None
        assert tensor_stem("w", found.projection) != tensor_stem("w", found.closer) == "w"
    for found in candidates:
        if not after_activation(found.site):
            assert isinstance(found.projection.input, FixedRange)
            assert isinstance(found.closer.input, ScalePerToken)
            assert found.closer.matrices is found.projection.matrices
            assert tensor_stem("w", found.projection) == tensor_stem("w", found.closer)


def test_layers_that_share_weights_share_their_integers(make_setup):
    """ALBERT: the ranges of the inputs are each site's own."""
    work = make_setup(family="albert", layers=3, config={"num_hidden_groups": 2})
    statistics, candidates = work.statistics(), work.candidates()
    assert len(candidates) == 3 * 4
    for part in ("attention", "attention.output", "feed_forward", "feed_forward.output"):
        first, second, third = (candidates[f"layer.{layer}.{part}"] for layer in range(3))  # two of a group, and one
        for shared, own, other in (
            (first.projection, second.projection, third.projection),
            (first.closer, second.closer, third.closer),
        ):
            assert shared.matrices is own.matrices
            assert shared.input.multipliers is own.input.multipliers
            assert isinstance(own.input, ScalePerToken) or shared.input.scale != own.input.scale
            assert not np.array_equal(shared.matrices[0].values, other.matrices[0].values)
    site = "layer.1.attention"
    low, high = statistics[site].low, statistics[site].high
    how = candidates[site].projection.input
    spread = (high * how.multipliers).max() - (low * how.multipliers).min()
    assert how.scale == pytest.approx(spread / 255, rel=1e-6)


def test_one_site_is_rounded_as_if_nothing_were_shared(make_setup):
    """Statistics that are joined are those of all tokens together."""
    work = make_setup()
    parts = list(work.statistics().values())[:2]
    both = join(parts)
    assert both.tokens == sum(part.tokens for part in parts)
    np.testing.assert_allclose(both.energy, parts[0].energy + parts[1].energy, rtol=1e-6)
    np.testing.assert_array_equal(both.high, np.maximum(parts[0].high, parts[1].high))
    assert join(parts[:1]) is parts[0]


def test_threads_that_do_not_start_are_told_before_a_session_waits_for_them(tmp_path, monkeypatch):
    def refuse(count):
        raise RunError(f"no {count} threads")

    monkeypatch.setattr("stonnx.quantize.sessions.check_threads_start", refuse)
    with pytest.raises(RunError, match=r"no \d+ threads"):
        Runner(tmp_path)
