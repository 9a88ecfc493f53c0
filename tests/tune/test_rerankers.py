"""Tuning a reranker: its calls, what it is compared with, and how its variants are picked, on a simulated machine."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from stonnx.artifact import Goldens, PairGoldens
from stonnx.artifact.manifest import Scoring
from stonnx.errors import ArtifactError, UnsupportedModelError, UsageError
from stonnx.tune import TuneOptions, tune
from stonnx.tune.fidelity import make_pair_reference
from stonnx.tune.subject import subject_of
from tests.verify.test_measure_scores import FakeReranker, goldens

PAIRS = tuple((f"query {number % 6}", f"document {number} {'word ' * (number % 9)}") for number in range(60))


def artifact(kind="reranker", *, carried=None):
    return SimpleNamespace(path="art", manifest=SimpleNamespace(kind=kind), goldens=lambda: carried)


def reranker(*, carried=None):
    made = FakeReranker()
    made.artifact = artifact(carried=carried)
    made.artifact.manifest.scoring = Scoring(labels=("L0",), activation="Sigmoid", pair_template=None)
    return made


def test_one_call_is_one_query_with_twenty_documents():
    calls = subject_of(artifact(), PAIRS).single_calls(PAIRS)
    assert [len(call) for call in calls] == [20] * 4
    for call in calls:
        assert len({pair[0] for pair in call}) == 1
        assert len({pair[1] for pair in call}) == 20


def test_texts_are_no_pairs_and_pairs_no_texts():
    with pytest.raises(UsageError, match="takes pairs of a query and a document") as caught:
        subject_of(artifact(), ["a text"])
    assert "--pairs" in caught.value.cli_hint
    with pytest.raises(UsageError, match="takes texts"):
        subject_of(artifact("embedding"), PAIRS)
    with pytest.raises(UnsupportedModelError, match="'sparse' cannot be tuned"):
        subject_of(artifact("sparse"), ["a text"])


def test_the_reference_is_the_original_and_the_base_for_the_users_pairs():
    carried = goldens()
    found = make_pair_reference(reranker(carried=carried), (*PAIRS, *PAIRS, carried.pairs[0]))
    assert len(found.goldens.pairs) == len(carried.pairs) + len(PAIRS)
    np.testing.assert_array_equal(found.goldens.logits[: len(carried.pairs)], carried.logits)
    assert found.described == "the original model's scores (80 probe pairs) and those of fake (60 of the pairs)"
    assert found.goldens.scores.shape == found.goldens.logits.shape == (140, 1)


def test_without_goldens_the_base_stands_in():
    found = make_pair_reference(reranker(), PAIRS)
    assert isinstance(found.goldens, PairGoldens)
    assert "the artifact has none" in found.described
    assert len(found.goldens.pairs) > 400


def test_goldens_of_texts_are_refused():
    with pytest.raises(ArtifactError, match="goldens of texts"):
        make_pair_reference(reranker(carried=Goldens((), np.zeros((0, 2), np.float32), {})), PAIRS)


@pytest.mark.reference
def test_tune_from_end_to_end(tmp_path):
    from stonnx.artifact import Artifact
    from stonnx.compile import convert
    from tests.originals import make_reranker

    convert(make_reranker(tmp_path / "source", "bert"), tmp_path / "out", verify=False, int8=False)
    report = tune(Artifact.open(tmp_path / "out"), PAIRS, options=TuneOptions(seconds=0.1))
    assert report.kind == "reranker"
    assert report.rows[0].variant == "fp32"
    assert report.rows[0].found == "exact"
    assert report.picked is not None
    assert report.to_json()["rows"][0]["fidelity"]["queries"] == 20
