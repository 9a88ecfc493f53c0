"""``quantize`` from a tiny model to integers: what comes out, what it was measured to be, and what it leaves."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack

import numpy as np
import onnx
import pytest

from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.errors import RunError
from stonnx.graph import WeightFile, author_graph, draw
from stonnx.graph.dialects import OrtCpu, OrtCpuInt8
from stonnx.graph.quantized import FixedRange, ScalePerToken
from stonnx.graph.quantized_blocks import tensor_stem
from stonnx.quantize import Workbench, quantize, trials
from stonnx.quantize.calibration import observe
from stonnx.quantize.projections import quantize_projections
from stonnx.quantize.sessions import embed_rows
from stonnx.runtime.tokenize import TextTokenizer, TokenRows
from stonnx.testing import TinyModel, make_tiny_model
from stonnx.verify.metrics import compare

pytest.importorskip("onnxruntime")

WORDS = "hello world of and to in is a text number river stone paper light".split()
TARGETS = (("high", "balanced"), ("balanced",))


def some_texts(count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, int(rng.integers(1, 30)))) for _ in range(count)]


class Setup:
    """A tiny model with its float32 graph, and token rows to quantise it with."""

    def __init__(self, folder, model, stack):
        source = resolve_source(make_tiny_model(folder / "model", model))
        spec = read_model(source)
        weights = stack(Weights.open(source, spec.transformer_path))
        self.folder = folder / "graphs"
        self.folder.mkdir()
        self.bench = Workbench(
            blueprint=draw(spec, weights),
            folder=self.folder,
            weights=stack(WeightFile(self.folder / "model.onnx_data")),
            float_graph=self.folder / "model.onnx",
            open_weights=lambda path: stack(Weights.open(source, path)),
        )
        graph = author_graph(self.bench.blueprint, OrtCpu(), self.bench.weights, self.bench.open_weights)
        onnx.save(graph.model, self.bench.float_graph)
        self.bench.weights.flush()
        tokenizer = TextTokenizer(source.path / "tokenizer.json", max_tokens=spec.max_tokens)
        self.calibration, self.held_out = (tokenizer.rows(some_texts(40, seed)) for seed in (1, 2))

    def quantize(self, targets=TARGETS, **options):
        rows = {"calibration": self.calibration, "held_out": self.held_out}
        options = {"natural": len(self.held_out)} | options
        return quantize(self.bench, **rows, targets=targets, **options)

    def measure(self, projections):
        """The fidelity of these integers on the held-out texts, by a graph of their own."""
        path = self.folder / "again.onnx"
        with WeightFile(self.folder / "again.onnx_data") as weights:
            dialect = OrtCpuInt8(projections)
            onnx.save(author_graph(self.bench.blueprint, dialect, weights, self.bench.open_weights).model, path)
        graphs = (path, self.bench.float_graph)
        vectors = [embed_rows(graph, self.held_out, dimension=self.bench.blueprint.dimension) for graph in graphs]
        return compare(*vectors).fidelity


@pytest.fixture
def workbench(tmp_path):
    """A function: options of TinyModel in, a workbench out."""
    with ExitStack() as stack:
        yield lambda **options: Setup(tmp_path, TinyModel(**options), stack.enter_context)


def largest(model):
    return max(int(np.abs(m.values.astype(int)).max()) for p in model.projections.values() for m in p.matrices)


def largest_pair(model):
    """Of two integers that the processor may add in an int16."""
    matrices = [m.values.astype(int) for p in model.projections.values() for m in p.matrices]
    return max(int(np.abs(m[0::2][: len(m) // 2] + m[1::2]).max()) for m in matrices)


@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_every_target_gets_its_model(workbench, family):
    work = workbench(family=family, max_tokens=48)
    before = {path.name: path.read_bytes() for path in work.folder.iterdir()}
    steps = []
    models = work.quantize(on_step=steps.append)
    assert len(models) == len(TARGETS)
    assert len(steps) == 2 + len(TARGETS)
    for model in models:
        assert largest(model) <= 127
        assert largest_pair(model) in (127, 128)
        kept = [step.site for step in model.selection.steps if step.kind == "float32"]
        assert len(model.projections) + len(kept) == 2 * 4
        assert not model.projections.keys() & set(kept)
        for step in model.selection.steps:
            if step.kind == "closer" and step.site not in kept:
                how = model.projections[step.site].input
                assert isinstance(how, ScalePerToken) or how.multipliers is not None
        assert model.selection.fidelity.texts == 40
    assert {path.name: path.read_bytes() for path in work.folder.iterdir()} == before


def test_the_class_is_reached_by_what_comes_out(workbench):
    work = workbench()
    model = work.quantize(TARGETS[:1])[0]
    assert model.selection.reached in ("lossless", "high")
    found = work.measure(model.projections)
    assert found.top10_overlap == pytest.approx(
        model.selection.fidelity.top10_overlap, abs=0.02
    )  # that one: of 5 to 15
    assert dataclasses.replace(found, top10_overlap=model.selection.fidelity.top10_overlap) == model.selection.fidelity
    assert model.selection.fidelity.max_abs_diff > 1e-5  # these are integers


def test_inputs_are_quantised_as_their_kind_asks(workbench):
    (model,) = workbench().quantize((("balanced",),))
    for site, projection in model.projections.items():
        if site.endswith(".output.dense.weight") and "attention" not in site:
            assert projection.input.lower_bound < 0
            assert projection.input.multipliers is None or projection.input.multipliers.max() <= 1
        else:
            assert isinstance(projection.input, FixedRange | ScalePerToken)
        maps = 3 if "query" in site else 1
        assert len(projection.matrices) == maps


def test_weights_are_the_models(workbench):
    """Integers times scales, multipliers taken out again, come to the weights of the checkpoint."""
    work = workbench()
    (model,) = work.quantize((("balanced",),))
    for site, projection in model.projections.items():
        matrix, weight = projection.matrices[0], work.bench.blueprint.parameters.get(site).T
        found = matrix.values * matrix.scales
        if projection.input.multipliers is not None:
            found *= projection.input.multipliers[:, None]
        assert np.abs(found - weight).max() < 0.05 * np.abs(weight).max()


def test_deterministic(workbench):
    work = workbench()
    for first, second in zip(work.quantize(), work.quantize(), strict=True):
        assert first.selection == second.selection
        assert first.projections.keys() == second.projections.keys()
        for one, other in zip(first.projections.values(), second.projections.values(), strict=True):
            np.testing.assert_equal(one.input.multipliers, other.input.multipliers)
            for left, right in zip(one.matrices, other.matrices, strict=True):
                np.testing.assert_array_equal(left.values, right.values)
                np.testing.assert_array_equal(left.scales, right.scales)


def test_where_no_class_is_reached_the_cheapest_model_says_so(workbench, monkeypatch):
    monkeypatch.setattr("stonnx.quantize.selection.class_failures", lambda *_, **__: ("too far",))
    monkeypatch.setattr("stonnx.quantize.trials.classify", lambda _: None)
    (model,) = workbench().quantize(TARGETS[:1])
    assert (model.selection.steps, model.selection.reached) == ((), None)
    assert len(model.projections) == 8


@pytest.mark.parametrize("moment", ["rounding", "measuring", "drift"])
def test_an_interrupt_leaves_no_trial(workbench, moment, monkeypatch):
    work = workbench()
    before = sorted(path.name for path in work.folder.iterdir())

    def interrupted(*_, **__):
        assert "trial.onnx" in {path.name for path in work.folder.iterdir()} or moment == "rounding"
        raise KeyboardInterrupt

    where = {"rounding": "run.quantize_projections", "measuring": "trials.compare", "drift": "trials.float_steps"}
    name = f"stonnx.quantize.{where[moment]}"
    monkeypatch.setattr(name, interrupted)
    monkeypatch.setattr("stonnx.quantize.selection.class_failures", lambda *_, **__: ("too far",))
    with pytest.raises(KeyboardInterrupt):
        work.quantize()
    assert sorted(path.name for path in work.folder.iterdir()) == before


def test_odd_texts_count_for_the_lowest_cosine_alone(workbench):
    work = workbench()
    target = (("balanced",),)
    natural, some = (work.quantize(target, natural=count)[0].selection.fidelity for count in (40, 25))
    assert (natural.texts, some.texts) == (40, 40)
    assert natural.cosine_min == some.cosine_min
    assert natural.cosine_mean != some.cosine_mean


def test_float32_goes_where_drift_was_measured(workbench, monkeypatch):
    """The class wants four projections in float32: they are those that hurt the most by themselves."""
    work, drifts = workbench(), []
    monkeypatch.setattr("stonnx.quantize.selection.class_failures", lambda *_, **__: ("too far",))
    original = trials.float_steps
    monkeypatch.setattr(
        trials,
        "float_steps",
        lambda candidates, drift, **how: drifts.append(drift) or original(candidates, drift, **how),
    )
    work.quantize((("high", "balanced"),))
    assert len(drifts) == 2
    assert drifts[0] is drifts[1]  # measured once
    assert len(drifts[0]) == 8
    rows = len(range(4)) + len(range(4, 40, 8))
    for losses in drifts[0].values():
        assert losses.shape == (rows,)
        assert losses.dtype == np.float32
        assert 0 <= losses.max() < 0.01
    assert max(losses.max() for losses in drifts[0].values()) > 1e-7


def test_behind_an_activation_the_closer_input_is_balanced(workbench):
    """Rounded twice, and not the same integers: their tensors go by names of their own."""
    work = workbench()
    observation = observe(
        work.bench.blueprint,
        work.calibration,
        folder=work.folder,
        weights=work.bench.weights,
        open_weights=work.bench.open_weights,
    )
    candidates = tuple(quantize_projections(observation, work.bench.blueprint.parameters))
    behind = [found for found in candidates if isinstance(found.projection.input, ScalePerToken)]
    assert len(behind) == 2
    for found in behind:
        assert found.projection.input.multipliers is None
        assert found.closer.input.multipliers is not None
        assert tensor_stem(found.site, found.projection) != tensor_stem(found.site, found.closer) == found.site
    for found in candidates:
        if isinstance(found.projection.input, FixedRange):
            assert isinstance(found.closer.input, ScalePerToken)
            assert found.closer.matrices is found.projection.matrices
            assert tensor_stem(found.site, found.projection) == tensor_stem(found.site, found.closer)


def test_threads_that_do_not_start_are_told_before_a_session_waits_for_them(tmp_path, monkeypatch):
    def refuse(count):
        raise RunError(f"no {count} threads")

    monkeypatch.setattr("stonnx.quantize.sessions.check_threads_start", refuse)
    rows = TokenRows(ids=np.array([1, 2], np.int32), offsets=np.array([0, 2], np.int64), truncated=0)
    with pytest.raises(RunError, match=r"no \d+ threads"):
        embed_rows(tmp_path / "nowhere.onnx", rows, dimension=2)
