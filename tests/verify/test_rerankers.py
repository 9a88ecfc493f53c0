"""Rerankers from end to end: the original, its goldens, a converted artifact, and what is written into it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from stonnx import Reranker
from stonnx.artifact import Artifact, PairGoldens, ScoreFidelity, file_entries, write_goldens, write_manifest
from stonnx.compile import convert
from stonnx.errors import RunError, UsageError
from stonnx.reference import ReferenceReranker
from stonnx.testing import make_tiny_model
from stonnx.verify import LabelledPair, make_pair_goldens, probe_pairs, verify
from tests.originals import make_reranker

pytestmark = pytest.mark.reference

SOME = (*probe_pairs()[:20], *probe_pairs()[400::2])


@pytest.fixture(autouse=True)
def _fewer_probes(monkeypatch):
    """Torch takes its time for all of them."""
    monkeypatch.setattr("stonnx.verify.original.probe_pairs", lambda: SOME)


@pytest.fixture(scope="module", params=[1, 3])
def source(request, tmp_path_factory):
    return make_reranker(tmp_path_factory.mktemp("source") / "model", "bert", labels=request.param)


@pytest.fixture(scope="module")
def converted(source, tmp_path_factory):
    """An artifact with goldens of some of the probe pairs: all of them would only take longer."""
    out = tmp_path_factory.mktemp("reranker") / "out"
    convert(source, out, verify=False, int8=False)
    write_goldens(out, make_pair_goldens(ReferenceReranker.load(source), SOME))
    write_manifest(out, replace(Artifact.open(out).manifest, files=file_entries(out)))
    return out


@pytest.fixture
def artifact(converted, tmp_path):
    shutil.copytree(converted, tmp_path / "out")
    return tmp_path / "out"


def test_scores_are_what_a_cross_encoder_predicts(source):
    from sentence_transformers import CrossEncoder

    pairs = [("hello world", "of and to"), ("a", "text in the world " * 40), ("", "")]
    original, library = ReferenceReranker.load(source), CrossEncoder(str(source), device="cpu")
    expected = library.predict([list(pair) for pair in pairs], batch_size=1)
    found = original.scores(pairs, batch_size=1)
    assert found.shape == (3, library.num_labels)
    np.testing.assert_allclose(found, expected.reshape(3, -1), atol=1e-6)
    assert original.activation == type(library.activation_fn).__name__
    assert original.logits([]).shape == (0, library.num_labels)


def test_every_float32_variant_is_the_original(artifact):
    report = verify(artifact)
    assert (report.kind, report.compared_with) == ("reranker", "goldens")
    exact = [variant for variant in report.variants if variant.fidelity_class == "exact"]
    assert [variant.name for variant in exact][:2] == ["fp32", "portable"]
    assert all(variant.passed for variant in exact)
    found = report.variants[0].fidelity
    assert isinstance(found, ScoreFidelity)
    assert (found.pairs, found.queries) == (len(SOME), 1)
    written = report.to_json()
    assert written["class_bounds"]["high"]["mean_abs_diff"] == 0.005
    assert written["tolerance"]["max_logit_diff"] == report.tolerance.max_logit_diff


def test_another_original_is_noticed(artifact):
    goldens = Artifact.open(artifact).goldens()
    assert isinstance(goldens, PairGoldens)
    logits = goldens.logits.copy()
    logits[5, 0] += np.float32(1e-2)
    write_goldens(artifact, replace(goldens, logits=logits))
    write_manifest(artifact, replace(Artifact.open(artifact).manifest, files=file_entries(artifact)))
    report = verify(artifact)
    assert not report.variants[0].passed
    assert report.variants[0].worst_pair == tuple(text[:60] for text in SOME[5])


def test_texts_are_refused_with_a_hint(artifact, source):
    with pytest.raises(UsageError, match="is a reranker") as caught:
        verify(artifact, against=source, texts=["a text"])
    assert "--pairs" in caught.value.cli_hint


def test_another_number_of_labels_is_another_model(artifact, tmp_path):
    other = make_reranker(tmp_path / "other", "bert", labels=2)
    with pytest.raises(UsageError, match=r"gives 2 labels, .* [13]: they are not the same model"):
        verify(artifact, against=other)


def test_a_model_without_a_classifier_is_no_original(artifact, tmp_path):
    """CrossEncoder would make one up, and compare with random scores."""
    embeddings = make_tiny_model(tmp_path / "embeddings")
    with pytest.raises(UsageError, match=r"embeddings is no cross-encoder: its config\.json names BertModel"):
        verify(artifact, against=embeddings)


def test_a_pass_against_the_original_is_recorded(source, tmp_path):
    convert(source, tmp_path / "out", verify=False, int8=False)
    pairs = [LabelledPair(*pair, float(number)) for number, pair in enumerate(SOME[:10])]
    report = verify(tmp_path / "out", against=source, pairs=pairs, keep=True)
    assert report.passed
    assert report.recorded
    assert report.variants[0].spearman == pytest.approx(report.variants[0].reference_spearman)
    artifact = Artifact.open(tmp_path / "out")
    artifact.check_files()
    assert artifact.manifest.verified
    assert artifact.manifest.variants[0].fidelity == report.variants[0].fidelity
    goldens = artifact.goldens()
    assert isinstance(goldens, PairGoldens)
    with Reranker.load(artifact, variant="portable") as reranker:
        scores = np.asarray(reranker.predict(goldens.pairs)).reshape(goldens.scores.shape)
    np.testing.assert_allclose(scores, goldens.scores, atol=1e-5)


def test_a_folder_that_is_no_model_is_an_error(tmp_path):
    with pytest.raises(RunError, match="cannot load"):
        ReferenceReranker.load(tmp_path)
