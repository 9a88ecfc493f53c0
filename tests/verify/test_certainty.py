"""A class changes on evidence: the figures of one sample of texts are not those of another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.artifact import Fidelity, ScoreFidelity, classify
from stonnx.artifact.fidelity_class import BOUNDS
from stonnx.verify.certainty import broken_bounds, is_sure, settled_class
from stonnx.verify.metrics import Comparison, compare
from stonnx.verify.score_metrics import ScoreComparison


def comparison(*, mean=0.9995, low=0.995, overlap=0.98, mean_error=0.0, overlap_error=0.0):
    fidelity = Fidelity(texts=100, cosine_mean=mean, cosine_min=low, max_abs_diff=0.01, top10_overlap=overlap)
    return Comparison(
        fidelity=fidelity, worst=0, max_norm_diff=0.0, cosine_error=mean_error, overlap_error=overlap_error
    )


@pytest.mark.parametrize(
    ("overlap", "promised", "settled"),
    [
        (0.961, "high", "high"),  # below 0.97 by less than two errors of 0.005
        (0.959, "high", "balanced"),  # by more
        (0.984, "balanced", "balanced"),  # above, but not by three errors
        (0.986, "balanced", "high"),
        (0.941, "balanced", "balanced"),
        (0.939, "balanced", None),
        (0.961, "exact", "high"),
    ],
)
def test_it_takes_evidence_to_leave_a_class(overlap, promised, settled):
    found = comparison(overlap=overlap, overlap_error=0.005)
    assert settled_class(found, promised=promised) == settled


def test_the_mean_cosine_has_an_error_too():
    assert settled_class(comparison(mean=0.9986, mean_error=0.0003), promised="high") == "high"
    assert settled_class(comparison(mean=0.9983, mean_error=0.0003), promised="high") == "balanced"


def test_the_lowest_cosine_has_none():
    found = comparison(low=0.9899, mean_error=1.0, overlap_error=1.0)
    assert settled_class(found, promised="high") == "balanced"
    assert broken_bounds(found, "high", promised="high") == ("lowest cosine 0.98990 is below 0.99",)


def test_a_broken_bound_says_by_how_much():
    (sentence,) = broken_bounds(comparison(overlap=0.95, overlap_error=0.005), "high", promised="high")
    assert sentence == "top-10 overlap 0.95000 is below 0.97 by more than 0.01000"


@pytest.mark.parametrize(("overlap", "sure"), [(0.985, True), (0.975, False), (0.965, False), (0.955, False)])
def test_near_a_bound_nothing_is_sure(overlap, sure):
    found = comparison(overlap=overlap, overlap_error=0.004)
    assert is_sure(found, settled_class(found, promised="high")) is sure


def test_exact_is_always_sure():
    assert is_sure(comparison(overlap=0.97, overlap_error=0.01), "exact")


@given(st.floats(0.9, 1), st.floats(0.99, 1), st.floats(0.9, 1), st.sampled_from([*BOUNDS, "exact"]))
def test_without_errors_the_class_is_that_of_the_figures(low, mean, overlap, promised):
    found = comparison(mean=mean, low=low, overlap=overlap)
    assert settled_class(found, promised=promised) == classify(found.fidelity)


def test_draws_of_texts_do_not_change_the_class():
    """Two hundred draws of 64 texts, whose overlap is 0.973 on average: by the figures alone many lose *high*."""
    rng = np.random.default_rng(5)
    reference = rng.normal(size=(800, 48)).astype(np.float32)
    candidate = reference + rng.normal(size=reference.shape).astype(np.float32) * np.float32(0.0215)
    by_figures, settled = set(), []
    for _ in range(200):
        chosen = rng.choice(len(reference), 64, replace=False)
        found = compare(candidate[chosen], reference[chosen])
        by_figures.add(classify(found.fidelity))
        settled.append(settled_class(found, promised="high"))
    assert by_figures == {"high", "balanced"}
    assert settled.count("high") >= 0.98 * len(settled)


def test_standard_errors():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(60, 8)).astype(np.float32)
    found = compare(reference + np.float32(0.2) * rng.normal(size=reference.shape).astype(np.float32), reference)
    assert 0 < found.cosine_error < 0.01
    assert 0 < found.overlap_error < 0.03
    alike = compare(reference, reference)
    assert (alike.cosine_error, alike.overlap_error) == (pytest.approx(0, abs=1e-15), 0)
    one = compare(reference[:1], reference[:1])
    assert (one.cosine_error, one.overlap_error) == (0, 0)


@pytest.mark.parametrize(
    ("mean", "promised", "settled"),
    [
        (0.0059, "high", "high"),  # above 0.005 by less than two errors of 0.0005
        (0.0061, "high", "balanced"),  # by more
        (0.0036, "balanced", "balanced"),  # below, but not by three errors
        (0.0034, "balanced", "high"),
        (0.0111, "balanced", None),
    ],
)
def test_scores_leave_a_class_on_evidence_too(mean, promised, settled):
    fidelity = ScoreFidelity(pairs=450, queries=20, mean_abs_diff=mean, max_abs_diff=0.03, top10_overlap=1.0)
    found = ScoreComparison(fidelity=fidelity, worst=0, max_logit_diff=0.1, mean_error=0.0005, overlap_error=0.0)
    assert settled_class(found, promised=promised) == settled
