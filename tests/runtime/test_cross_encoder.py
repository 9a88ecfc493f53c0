"""``Reranker`` beside ``CrossEncoder`` of sentence-transformers, on converted tiny models."""

from __future__ import annotations

import numpy as np
import pytest

from stonnx import Reranker
from stonnx.compile import convert
from tests.originals import make_reranker

pytest.importorskip("onnxruntime")

# torch is imported, and models are converted
pytestmark = [pytest.mark.reference, pytest.mark.slow]

LONG = "the of and to in is a that for it was on are as with " * 20
PAIRS = [
    ("hello world", "text number five"),
    ("text number five", "hello world"),
    ("of and to", ""),
    ("", "a"),
    ("", ""),
    (LONG, "hello world"),
    ("hello world", LONG),
    (LONG, LONG + "hello"),
    ("今天是周五啦", "明天就是周末啦"),
]
DOCUMENTS = ["of and", "hello", LONG, "hello", "world to in", ""]


@pytest.fixture
def both(tmp_path):
    """A function: the converted model of a family, and the original."""
    from sentence_transformers import CrossEncoder

    opened = []

    def make(family, *, variant="fp32", **options):
        source = make_reranker(tmp_path / "source", family, **options)
        convert(source, tmp_path / "out", verify=False, int8=False)
        opened.append(Reranker.load(tmp_path / "out", variant=variant, threads=1))
        return opened[-1], CrossEncoder(str(source), device="cpu")

    yield make
    for reranker in opened:
        reranker.close()


@pytest.mark.parametrize("variant", ["fp32", "portable", "openvino"])
@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet"])
def test_scores_and_rankings_are_those_of_the_original(both, family, variant):
    ours, theirs = both(family, variant=variant)
    assert ours.max_tokens == theirs.max_seq_length
    expected = theirs.predict(PAIRS)
    assert np.ptp(expected) > 0.02
    found = ours.predict(PAIRS)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, atol=3e-6)
    np.testing.assert_allclose(ours.predict(PAIRS[0]), theirs.predict(PAIRS[0]), atol=3e-6)
    assert np.shape(ours.predict(PAIRS[0])) == np.shape(theirs.predict(PAIRS[0])) == ()
    for options in ({}, {"top_k": 2}, {"return_documents": True}):
        assert_same_ranking(ours.rank("text", DOCUMENTS, **options), theirs.rank("text", DOCUMENTS, **options))
    if family == "bert":  # the two texts are told apart, also where the rows of a run need no mask
        assert abs(found[0] - found[1]) > 1e-4


def assert_same_ranking(found, expected):
    assert [list(row) for row in found] == [list(row) for row in expected]
    # By their texts: equal documents may differ in the last bit, ours or theirs.
    assert [DOCUMENTS[row["corpus_id"]] for row in found] == [DOCUMENTS[row["corpus_id"]] for row in expected]
    assert [row.get("text") for row in found] == [row.get("text") for row in expected]
    assert {type(row["score"]) for row in found} == {type(row["score"]) for row in expected} == {float}
    np.testing.assert_allclose([r["score"] for r in found], [r["score"] for r in expected], atol=3e-6)


def test_prompts(both):
    ours, theirs = both("bert")
    for prompt in ("of and ", "hello: "):
        expected = theirs.predict(PAIRS, prompt=prompt)
        np.testing.assert_allclose(ours.predict(PAIRS, prompt=prompt), expected, atol=3e-6)
        assert np.abs(expected - theirs.predict(PAIRS)).max() > 1e-4
        assert_same_ranking(ours.rank("a", DOCUMENTS, prompt=prompt), theirs.rank("a", DOCUMENTS, prompt=prompt))


@pytest.mark.parametrize("labels", [1, 3])
def test_activations_and_softmax(both, labels):
    from torch import nn

    ours, theirs = both("bert", labels=labels)
    for name, function in ((None, None), ("Identity", nn.Identity()), ("Sigmoid", nn.Sigmoid())):
        for softmax in (False, True):
            expected = theirs.predict(PAIRS, activation_fn=function, apply_softmax=softmax)
            found = ours.predict(PAIRS, activation_fn=name, apply_softmax=softmax)
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, atol=1e-5)
    assert ours.activation == type(theirs.activation_fn).__name__


def test_none_and_several_labels(both):
    ours, theirs = both("bert", labels=2)
    assert len(ours.predict([])) == len(theirs.predict([])) == 0
    single = theirs.predict(PAIRS[0])
    np.testing.assert_allclose(ours.predict(PAIRS[0]), single, atol=1e-5)
    assert ours.predict(PAIRS[0]).shape == single.shape == (2,)
    for model in (ours, theirs):
        with pytest.raises(ValueError, match="label"):
            model.rank("a", ["b"])
