"""A reranker's variant is held to its class: what it promises, what it keeps, and what makes it fail."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from stonnx.artifact import PairGoldens
from stonnx.verify import LabelledPair, measure_scores
from stonnx.verify.report import SCORE_BATCH_DIFF

PAIRS = tuple((f"query {number // 20}", f"document {number}") for number in range(80))


def sigmoid(logits):
    return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)


def own_logits(pairs, labels):
    """Logits that belong to a pair."""
    rows = [np.random.default_rng(sum(map(ord, a + b))).normal(size=labels) for a, b in pairs]
    return 2 * np.array(rows, dtype=np.float32)


class FakeReranker:
    """Gives the logits that belong to a pair, made wrong in the ways that its attributes say."""

    def __init__(self, *, labels=1, promised="exact", activation="Sigmoid"):
        self.labels = tuple(f"L{n}" for n in range(labels))
        self.activation = activation
        self.streams = 2
        self.variant = SimpleNamespace(name="fake", fidelity_class=promised)
        self.noise, self.alone, self.score = 0.0, 0.0, 0.0

    def predict(self, pairs, *, activation_fn=None):
        logits = own_logits(pairs, len(self.labels))
        noise = [np.random.default_rng(len(a) + 7 * sum(map(ord, b))).normal(size=len(self.labels)) for a, b in pairs]
        logits = logits + np.float32(self.noise) * np.array(noise, np.float32)
        if len(pairs) == 1:
            logits = logits + np.float32(self.alone)
        if activation_fn is None:
            logits = sigmoid(logits) + np.float32(self.score)
        return logits[:, 0] if len(self.labels) == 1 else logits


def goldens(labels=1):
    logits = own_logits(PAIRS, labels)
    return PairGoldens(pairs=PAIRS, scores=sigmoid(logits), logits=logits, reference={"dtype": "float32"})


def measured(*, labels=1, promised="exact", **wrong):
    reranker = FakeReranker(labels=labels, promised=promised)
    vars(reranker).update(wrong)
    return measure_scores(reranker, goldens(labels))


@pytest.mark.parametrize(("alone", "sure"), [(0.0, False), (1.0, True), (float("nan"), True)])
def test_a_class_that_the_batch_decides_is_sure_whatever_chance_does(monkeypatch, alone, sure):
    module = importlib.import_module("stonnx.verify.measure_scores")  # the name is a function's as well
    monkeypatch.setattr(module, "is_sure", lambda *_: False)
    assert measured(promised="high", alone=alone).class_is_sure is sure


@pytest.mark.parametrize("labels", [1, 3])
def test_a_perfect_copy_is_exact(labels):
    report = measured(labels=labels)
    assert report.passed
    assert report.measured_class == "exact"
    assert report.fidelity.max_abs_diff == report.max_logit_diff == report.max_batch_diff == 0
    assert (report.fidelity.pairs, report.fidelity.queries, report.fidelity.top10_overlap) == (80, 4, 1.0)


@pytest.mark.parametrize(
    ("wrong", "failure"),
    [
        ({"noise": 1e-3}, "largest difference of a probability"),
        ({"noise": 1e-3}, "largest difference of a logit"),
        ({"score": 1e-3}, "largest difference of a score"),
        ({"alone": 1e-3}, "between alone and in a batch"),
        ({"noise": float("nan")}, "largest difference of a logit nan"),
    ],
)
def test_what_makes_an_exact_variant_fail(wrong, failure):
    report = measured(**wrong)
    assert not report.passed
    assert any(failure in line for line in report.failures)


@pytest.mark.parametrize(
    ("noise", "promised", "found", "passed"),
    [
        (0.0, "high", "exact", True),
        (1e-3, "high", "lossless", True),
        (1e-3, "lossless", "lossless", True),
        (1.0, "balanced", None, False),
    ],
)
def test_a_variant_is_held_to_its_class(noise, promised, found, passed):
    report = measured(noise=noise, promised=promised)
    assert (report.fidelity_class, report.measured_class, report.passed) == (promised, found, passed)


def test_a_class_needs_scores_that_do_not_depend_on_the_batch():
    assert measured(promised="balanced", alone=SCORE_BATCH_DIFF / 2).passed
    report = measured(promised="balanced", alone=SCORE_BATCH_DIFF * 2)
    assert report.measured_class is None
    assert report.failures == ("difference between alone and in a batch 2.0e-03 is above 1e-03",)


def test_labelled_pairs_are_ranked():
    pairs = [LabelledPair(a, b, float(score)) for (a, b), score in zip(PAIRS, own_logits(PAIRS, 1)[:, 0], strict=True)]
    reference = -np.arange(len(pairs), dtype=np.float64)
    report = measure_scores(FakeReranker(), goldens(), pairs=pairs, reference_odds=reference)
    assert report.spearman == pytest.approx(1.0)
    assert abs(report.reference_spearman) < 0.5
    assert measured().spearman is None


def test_the_worst_pair_is_named():
    reranker, right = FakeReranker(), goldens()
    logits = right.logits.copy()
    logits[33] += 3
    report = measure_scores(reranker, PairGoldens(PAIRS, right.scores, logits, right.reference))
    assert report.worst_pair == PAIRS[33]
