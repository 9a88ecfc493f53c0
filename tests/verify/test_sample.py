"""A few probes prove a float32 variant: what is wrong with a graph shows on them as it does on all."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from stonnx import Encoder, Reranker
from stonnx.artifact import Artifact, Goldens, PairGoldens, file_entries, write_goldens, write_manifest
from stonnx.compile import convert
from stonnx.testing import TinyModel, make_tiny_model
from stonnx.verify import measure_scores, measure_variant, probe_pairs, probe_texts, verify
from stonnx.verify.sample import alone_sample, exact_sample, some_pairs, some_texts
from tests.originals import make_reranker

POSITIONS = 512
MODEL = TinyModel(positions=POSITIONS)


def of_texts(encoder):
    return Goldens(texts=probe_texts(), vectors=encoder.encode(probe_texts()), reference={"dtype": "float32"})


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("source") / "model", MODEL)


@pytest.fixture(scope="module")
def goldens(source, tmp_path_factory):
    done = convert(source, tmp_path_factory.mktemp("good") / "out", verify=False, int8=False)
    with Encoder.load(done.path, variant="fp32") as encoder:
        return of_texts(encoder)


def late_positions(tensors):
    table = tensors["embeddings.position_embeddings.weight"]
    table[POSITIONS - 8 :] = np.roll(table[POSITIONS - 8 :], 1, axis=0)


def last_position(tensors):
    tensors["embeddings.position_embeddings.weight"][POSITIONS - 1] = 0


def token_type(tensors):
    table = tensors["embeddings.token_type_embeddings.weight"]
    table[[0, 1]] = table[[1, 0]]


def one_bias(tensors):
    tensors["encoder.layer.1.output.dense.bias"][:] = 0


def scale_of_a_norm(tensors):
    tensors["encoder.layer.0.attention.output.LayerNorm.weight"][3] *= np.float32(1.01)


def measured(folder, goldens, tmp_path, *, variant="fp32"):
    """The report of a variant of a model, on the few probes."""
    done = convert(folder, tmp_path / "out", verify=False, int8=False)
    with Encoder.load(done.path, variant=variant) as encoder:
        return measure_variant(encoder, some_texts(goldens))


@pytest.mark.parametrize("damage", [late_positions, last_position, token_type, one_bias, scale_of_a_norm])
def test_wrong_weights_show(source, goldens, tmp_path, damage):
    folder = shutil.copytree(source, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    damage(tensors)
    save_file(tensors, folder / "model.safetensors")
    assert not measured(folder, goldens, tmp_path).passed


def test_another_head_shows(source, goldens, tmp_path):
    folder = shutil.copytree(source, tmp_path / "model")
    file = folder / "1_Pooling" / "config.json"
    config = json.loads(file.read_text())
    assert config["pooling_mode"] == "mean"
    file.write_text(json.dumps(config | {"pooling_mode": "cls"}))
    assert not measured(folder, goldens, tmp_path).passed


def test_a_dropped_mask_shows(source, goldens, tmp_path, monkeypatch):
    from stonnx.runtime import pipeline

    def unmasked(*args, **options):
        feeds = make_feeds(*args, **options)
        return {name: np.ones_like(feed) if name == "attention_mask" else feed for name, feed in feeds.items()}

    make_feeds = pipeline.make_feeds
    monkeypatch.setattr(pipeline, "make_feeds", unmasked)
    assert not measured(source, goldens, tmp_path, variant="portable").passed


def test_the_model_itself_passes_on_a_quarter_of_the_texts(source, goldens, tmp_path):
    report = measured(source, goldens, tmp_path)
    assert report.passed
    assert report.measured_class == "exact"
    assert report.fidelity.texts < len(probe_texts()) / 3


@pytest.fixture
def verified(source, goldens, tmp_path):
    """An artifact with those vectors as goldens."""
    done = convert(source, tmp_path / "out", verify=False, int8=False)
    write_goldens(done.path, goldens)
    write_manifest(done.path, replace(Artifact.open(done.path).manifest, files=file_entries(done.path)))
    return done.path


def test_only_the_reference_variant_is_compared_on_all_texts(verified):
    report = verify(verified)
    assert report.passed
    precisions = {variant.name: variant.precision for variant in Artifact.open(verified).manifest.variants}
    few = len(exact_sample(probe_texts()))
    for variant in report.variants:
        is_short = precisions[variant.name] == "fp32" and variant.name != "fp32"
        assert variant.fidelity.texts == (few if is_short else len(probe_texts()))
    assert "portable" in {variant.name for variant in report.variants}


def test_a_variant_that_fails_on_a_few_is_measured_on_all(verified, monkeypatch):
    honest = Encoder.encode

    def drifting(self, texts, **options):
        return honest(self, texts, **options) + np.float32(1e-5 * (self.variant.name == "portable"))

    monkeypatch.setattr(Encoder, "encode", drifting)
    found = {variant.name: variant for variant in verify(verified).variants}
    assert not found["portable"].passed
    assert found["portable"].fidelity.texts == len(probe_texts())
    assert found["portable"].measured_class == "lossless"


@pytest.mark.reference
@pytest.mark.parametrize("damage", [None, "token_type_embeddings", "classifier.bias"])
def test_a_reranker(tmp_path, damage):
    folder = make_reranker(tmp_path / "model", "bert")
    good = convert(folder, tmp_path / "good", verify=False, int8=False)
    with Reranker.load(good.path, variant="fp32") as reranker:
        logits = reranker.predict(probe_pairs(), activation_fn="Identity").reshape(-1, 1)
        scores = reranker.predict(probe_pairs()).reshape(-1, 1)
    goldens = PairGoldens(pairs=probe_pairs(), scores=scores, logits=logits, reference={"dtype": "float32"})
    tensors = load_file(folder / "model.safetensors")
    for name in tensors:
        if damage is not None and damage in name:
            tensors[name] = tensors[name][::-1].copy() + np.float32(0.01)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    done = convert(folder, tmp_path / "out", verify=False, int8=False)
    with Reranker.load(done.path, variant="fp32") as reranker:
        report = measure_scores(reranker, some_pairs(goldens))
    assert report.passed is (damage is None)
    assert report.fidelity.pairs < len(probe_pairs()) / 5


TEXTS = st.lists(st.text(max_size=20) | st.integers(0, 3000).map("é".__mul__), max_size=80)


@given(TEXTS, st.integers(1, 9))
def test_what_is_chosen(texts, every):
    chosen = exact_sample(texts, every=every)
    assert chosen == sorted(set(chosen))
    assert all(0 <= index < len(texts) for index in chosen)
    longest = max((len(text.encode("utf-8", "replace")) for text in texts), default=0)
    assert not texts or any(len(texts[index].encode("utf-8", "replace")) == longest for index in chosen)
    assert len(texts) > 16 or len(chosen) == len(texts)


@given(TEXTS.filter(bool), st.integers(1, 9))
def test_what_is_run_alone(texts, every):
    chosen = alone_sample(texts, every=every)
    assert chosen
    assert set(chosen) <= set(range(0, len(texts), every))
    lengths = [len(text.encode("utf-8", "replace")) for text in texts]
    dropped = set(range(0, len(texts), every)) - set(chosen)
    assert all(lengths[index] >= 8 * np.median(lengths) for index in dropped)


def test_of_the_probes_one_long_text_is_run_alone_and_of_long_texts_as_many_as_of_short_ones():
    chosen = [probe_texts()[index] for index in alone_sample(probe_texts(), every=8)]
    assert len(chosen) == 15
    assert sum(len(text) > 300 for text in chosen) == 1
    assert len(alone_sample(["long " * 300] * 40, every=8)) == 5


def test_the_longest_probes_are_among_the_few():
    """Two that fill 512 positions, one of them prose."""
    few = [probe_texts()[index] for index in exact_sample(probe_texts())]
    long = [text for text in few if len(text.split()) >= 400]
    assert len(long) == 2
    assert max(len(set(text.split())) for text in long) > 150


def test_beyond_float32_all_short_texts_are_run_alone():
    texts = probe_texts()
    few, many = (alone_sample(texts, every=8, all_short=all_short) for all_short in (False, True))
    assert set(few) < set(many)
    assert {index for index, text in enumerate(texts) if len(text.encode("utf-8", "replace")) < 256} <= set(many)
    assert sum(len(texts[index]) > 2000 for index in many) == sum(len(texts[index]) > 2000 for index in few)
