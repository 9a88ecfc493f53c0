"""A model section by section is the model: the same numbers, and weights that lie in the same file."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import onnx
import pytest

from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.graph import WeightFile, author_graph, make_blueprint
from stonnx.graph.architectures import FAMILIES
from stonnx.graph.builder import WeightOverlay
from stonnx.graph.dialects import OrtCpu, OrtCpuInt8
from stonnx.graph.modules import Dense, Normalize, Pooling
from stonnx.graph.sections import (
    HIDDEN_STATE,
    NEXT_HIDDEN_STATE,
    author_embeddings,
    author_head,
    author_layers_section,
)
from stonnx.testing import TinyModel, make_tiny_model
from tests.graph.families import Family, round_projections
from tests.graph.integers import open_session
from tests.originals import make_reranker

PROMPT_HEAD = (
    Pooling(modes=("mean",), include_prompt=False),
    Dense(path="", in_features=32, out_features=8, bias=True, activation="Tanh"),
    Normalize(),
)


class Sections:
    """Runs a model whole and in sections, without ONNX Runtime's own fusions."""

    def __init__(self, folder, blueprint, open_weights, weights):
        self.folder = folder
        self.blueprint = blueprint
        self.open_weights = open_weights
        self.weights = weights

    def run(self, graph, feeds, hidden=None):
        self.weights.flush()
        onnx.save(graph, self.folder / "section.onnx")
        session = open_session(self.folder / "section.onnx", optimize=False)
        given = feeds if hidden is None else {**feeds, HIDDEN_STATE: hidden}
        return session.run(None, {entry.name: given[entry.name] for entry in graph.graph.input})

    def whole(self, dialect, feeds):
        return self.run(author_graph(self.blueprint, dialect, self.weights, self.open_weights).model, feeds)

    def in_sections(self, make_dialect, feeds, *, step=1):
        """Layers ``step`` at a time."""
        blueprint, weights, count = self.blueprint, self.weights, self.blueprint.encoder.layer_count
        (hidden,) = self.run(author_embeddings(blueprint, make_dialect(), weights), feeds)
        for start in range(0, count, step):
            layers = range(start, min(start + step, count))
            (hidden,) = self.run(author_layers_section(blueprint, make_dialect(), weights, layers), feeds, hidden)
        return self.run(author_head(blueprint, make_dialect(), weights, self.open_weights), feeds, hidden)


@pytest.fixture
def make_sections(tmp_path):
    """A function: a model's folder in, its sections out."""
    with ExitStack() as stack:

        def make(folder):
            source = resolve_source(folder)
            spec = read_model(source)
            weights = stack.enter_context(Weights.open(source, spec.transformer_path))
            out = tmp_path / "sections"
            out.mkdir()
            return Sections(
                out,
                make_blueprint(source, spec, weights),
                lambda path: stack.enter_context(Weights.open(source, path)),
                stack.enter_context(WeightFile(out / "model.onnx_data")),
            )

        yield make


def some_feeds(rows=3, tokens=11):
    rng = np.random.default_rng(3)
    return {
        "input_ids": rng.integers(5, 40, (rows, tokens)),
        "token_type_ids": rng.integers(0, 2, (rows, tokens)),
        "prompt_lengths": np.array([2]),
    }


def check(sections, plans):
    """Bit for bit: the same operators run on the same numbers."""
    feeds = some_feeds()
    for make_dialect in (OrtCpu, lambda: OrtCpuInt8({}), lambda: OrtCpuInt8(plans)):
        expected = sections.whole(make_dialect(), feeds)
        size = (sections.folder / "model.onnx_data").stat().st_size
        for step in (1, 2):
            found = sections.in_sections(make_dialect, feeds, step=step)
            assert len(found) == len(expected)
            # The outputs of a graph come in the order that tools expect, those of a section in the chain's.
            for output in sections.blueprint.chain.outputs:
                assert any(np.array_equal(one, other) for one in found for other in expected), output
        assert (sections.folder / "model.onnx_data").stat().st_size == size  # no section needs a tensor of its own


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_sections_in_a_row_are_the_model(tmp_path, make_sections, family):
    with ExitStack() as stack:
        made = Family(tmp_path, stack, family=family, layers=3)
        plans = round_projections(made)
    sections = make_sections(made.folder)
    assert sections.blueprint.encoder.layer_count == 3
    check(sections, plans)
    int8, whole = (sections.whole(dialect, some_feeds())[0] for dialect in (OrtCpuInt8(plans), OrtCpu()))
    assert np.abs(int8 - whole).max() > 1e-5


def test_layers_that_share_weights_are_sections_of_their_own(tmp_path, make_sections):
    """ALBERT: groups of layers within groups."""
    config = {"num_hidden_groups": 2, "inner_group_num": 2}
    sections = make_sections(make_tiny_model(tmp_path / "model", TinyModel(family="albert", layers=2, config=config)))
    assert sections.blueprint.encoder.layer_count == 4
    check(sections, {})


def test_the_head_leaves_the_prompt_out(tmp_path, make_sections):
    sections = make_sections(make_tiny_model(tmp_path / "model", TinyModel(head=PROMPT_HEAD)))
    check(sections, {})
    feeds = some_feeds()
    (other,) = sections.in_sections(OrtCpu, feeds | {"prompt_lengths": np.array([0])})
    assert np.abs(other - sections.whole(OrtCpu(), feeds)[0]).max() > 1e-4


@pytest.mark.reference  # transformers makes the model
@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_a_reranker_hears_of_token_types_and_ends_in_scores(tmp_path, make_sections, family):
    sections = make_sections(make_reranker(tmp_path / "model", family, labels=2))
    check(sections, {})
    found = sections.in_sections(OrtCpu, some_feeds())
    assert [part.shape for part in found] == [(3, 2), (3, 2)]


def test_layers_take_and_give_hidden_states(tmp_path, make_sections):
    sections = make_sections(make_tiny_model(tmp_path / "model", TinyModel()))
    graph = author_layers_section(sections.blueprint, OrtCpu(), sections.weights, range(1)).graph
    assert [entry.name for entry in graph.input] == ["input_ids", HIDDEN_STATE]
    assert [entry.name for entry in graph.output] == [NEXT_HIDDEN_STATE]
    element = graph.input[1].type.tensor_type.elem_type
    assert element == onnx.TensorProto.FLOAT


def test_an_overlay_takes_what_there_is_and_writes_what_is_new(tmp_path):
    one, other = np.ones(4, np.float32), np.zeros(3, np.int8)
    with WeightFile(tmp_path / "base") as base, WeightFile(tmp_path / "own") as own:
        base.tensor("a", lambda: one)
        overlay = WeightOverlay(base, own)
        places = {
            (name, element): overlay.tensor(name, lambda load=load: load, element=element).external_data[0].value
            for name, element, load in (("a", "float32", one), ("a", "int8", other), ("b", "float32", one))
        }
        assert places == {("a", "float32"): "base", ("a", "int8"): "own", ("b", "float32"): "own"}
        overlay.flush()
        assert (tmp_path / "base").read_bytes() == one.tobytes()
        assert (tmp_path / "own").stat().st_size == 4096 + one.nbytes
