"""Classifiers of every family against a NumPy twin, and whole cross-encoders against transformers."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from stonnx.checkpoint import Classification, Weights, read_model, resolve_source
from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph import WeightFile, append_chain, author_graph, make_blueprint
from stonnx.graph.architectures import FAMILIES
from stonnx.graph.builder import OPSET
from stonnx.graph.dialects import OrtCpu, Portable
from stonnx.graph.modules import Classifier, chain_of
from stonnx.graph.modules.activations import ACTIVATIONS
from stonnx.graph.modules.base import TOKEN_EMBEDDINGS
from stonnx.graph.modules.classifier import CLASSIFIERS
from stonnx.testing import make_tiny_model
from tests.graph import oracle
from tests.originals import make_reranker

WIDTH = 12
RANDOM = {"AlphaDropout", "Dropout", "FeatureAlphaDropout", "RReLU"}


class Tensors:
    """Seeded tensors of the shapes that a classifier asks for."""

    def __init__(self, shapes):
        rng = np.random.default_rng(5)
        self._values = {
            name: (rng.standard_normal(shape) * (1.5 / np.sqrt(shape[-1]))).astype(np.float32)
            for name, shape in shapes.items()
        }

    def names(self):
        return tuple(self._values)

    def shape(self, name):
        return self._values[name].shape

    def get(self, name):
        return self._values[name]


@pytest.fixture
def spec(tmp_path):
    """What was read of a cross-encoder."""
    return read_model(resolve_source(make_tiny_model(tmp_path / "model")))


def reading(spec, family, labels, activation):
    names = tuple(f"L{index}" for index in range(labels))
    classification = Classification(labels=names, activation=activation)
    spec = dataclasses.replace(spec, kind="reranker", modules=(), classification=classification)
    return Classifier.read(spec, family=family, width=WIDTH)


def run(tmp_path, classifier, tensors, vectors):
    """Scores and logits of token vectors, float32, shape (rows, tokens, width)."""
    table = numpy_helper.from_array(vectors.reshape(-1, WIDTH), "table")
    encoder = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "table",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["rows", "tokens"])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["rows", "tokens", WIDTH])],
        [table],
    )
    model = helper.make_model(encoder, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    chain = chain_of((classifier,), kind="reranker", width=WIDTH)
    with WeightFile(tmp_path / "weights") as weights:
        onnx.save(append_chain(model, chain, weights, lambda _: tensors), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    ids = np.arange(len(vectors) * vectors.shape[1]).reshape(vectors.shape[:2])
    return session.run(["scores", "logits"], {"input_ids": ids})


@pytest.mark.parametrize("family", sorted(CLASSIFIERS))
@pytest.mark.parametrize("labels", [1, 3])
def test_every_family(tmp_path, spec, family, labels):
    classifier = reading(spec, family, labels, "Sigmoid")
    tensors = Tensors(classifier.tensors())
    vectors = np.random.default_rng(3).standard_normal((4, 5, WIDTH)).astype(np.float32)
    scores, logits = run(tmp_path, classifier, tensors, vectors)
    expected = oracle.classify(tensors.get, family, vectors)
    assert logits.shape == scores.shape == (4, labels)
    assert np.abs(logits - expected).max() < 2e-6
    assert np.abs(scores - oracle.sigmoid(expected)).max() < 1e-6
    assert np.ptp(expected) > 0.5


@pytest.mark.parametrize("activation", sorted({*ACTIVATIONS} - RANDOM))
def test_activations_of_scores(tmp_path, spec, activation):
    classifier = reading(spec, "bert", 3, activation)
    tensors = Tensors(classifier.tensors())
    vectors = np.random.default_rng(4).standard_normal((4, 2, WIDTH)).astype(np.float32)
    scores, logits = run(tmp_path, classifier, tensors, vectors)
    expected = oracle.classify(tensors.get, "bert", vectors)
    assert np.abs(logits - expected).max() < 2e-6
    assert np.abs(scores - oracle.ACTIVATIONS[activation](expected)).max() < 2e-6


@pytest.mark.parametrize("activation", [*sorted(RANDOM), "GLU", "Threshold"])
def test_activations_that_are_random_or_unknown_are_refused(spec, activation):
    with pytest.raises(UnsupportedModelError, match=f"torch.nn.{activation}") as caught:
        reading(spec, "bert", 2, activation)
    assert caught.value.hint
    assert ("gives random scores" in caught.value.message.replace("\n", " ")) is (activation in RANDOM)


def test_token_vectors_of_another_width_are_refused(spec):
    with pytest.raises(CheckpointError, match=f"length {WIDTH}, and .* gives {WIDTH + 1}"):
        reading(spec, "bert", 2, "Identity").widths({TOKEN_EMBEDDINGS: WIDTH + 1})


def test_a_family_without_a_classifier_is_refused(spec):
    with pytest.raises(UnsupportedModelError, match="classifier of the architecture 't5' is not authored"):
        reading(spec, "t5", 2, "Identity")


def write_graphs(folder, out):
    """The graphs of a cross-encoder in both float32 dialects, and their blueprint."""
    source = resolve_source(folder)
    spec = read_model(source)
    weights = Weights.open(source)
    blueprint = make_blueprint(source, spec, weights)
    out.mkdir()
    with WeightFile(out / "model.onnx_data") as file:
        for dialect in (Portable(), OrtCpu()):
            graph = author_graph(blueprint, dialect, file, lambda _: weights)
            onnx.save(graph.model, out / f"{dialect.name}.onnx")
    return blueprint


def original_logits(folder, feeds):
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**{name: torch.from_numpy(value) for name, value in feeds.items()}).logits.numpy()


@pytest.mark.reference
@pytest.mark.parametrize("family", sorted(CLASSIFIERS.keys() & FAMILIES.keys()))
@pytest.mark.parametrize("labels", [1, 3])
def test_whole_models_give_the_originals_logits(tmp_path, padded, family, labels):
    folder = make_reranker(tmp_path / "model", family, labels=labels)
    blueprint = write_graphs(folder, tmp_path / "graphs")
    assert blueprint.unused == ()
    found = [(output.name, output.dimension) for output in blueprint.chain.outputs]
    assert found == [("scores", labels), ("logits", labels)]
    ids, mask = padded
    types = (np.arange(ids.shape[1]) > 4) * mask
    session = onnxruntime.InferenceSession(tmp_path / "graphs" / "portable.onnx")
    names = {value.name for value in session.get_inputs()}
    feeds = {name: value for name, value in zip(INPUTS, (ids, mask, types), strict=True) if name in names}
    assert [output.name for output in session.get_outputs()] == ["logits", "scores"]
    logits, scores = session.run(["logits", "scores"], feeds)
    expected = original_logits(folder, feeds)
    assert np.abs(logits - expected).max() < 1e-5
    assert np.abs(scores - (oracle.sigmoid(expected) if labels == 1 else expected)).max() < 1e-5
    session = onnxruntime.InferenceSession(tmp_path / "graphs" / "ort_cpu.onnx")
    names = {value.name for value in session.get_inputs()}
    for row, length in zip(range(len(ids)), mask.sum(axis=1), strict=True):
        alone = {name: value[row : row + 1, :length] for name, value in feeds.items() if name in names}
        (found,) = session.run(["logits"], alone)
        assert np.abs(found - expected[row]).max() < 1e-5


INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@pytest.mark.reference
def test_a_missing_classifier_is_named(tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = make_reranker(tmp_path / "model", "bert")
    tensors = load_file(folder / "model.safetensors")
    del tensors["classifier.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 tensors are missing: classifier\.weight"):
        write_graphs(folder, tmp_path / "graphs")
