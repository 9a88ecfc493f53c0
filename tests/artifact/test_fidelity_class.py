"""Fidelity classes: the issue's bounds, and their order."""

from __future__ import annotations

import math

import pytest

from stonnx.artifact import Fidelity, ScoreFidelity, classify, keeps
from stonnx.artifact.fidelity_class import allowed_losses, class_failures, closeness


def figures(mean=1.0, low=1.0, overlap=1.0):
    return Fidelity(texts=101, cosine_mean=mean, cosine_min=low, max_abs_diff=0.0, top10_overlap=overlap)


@pytest.mark.parametrize(
    ("fidelity", "found"),
    [
        (figures(), "lossless"),
        (figures(0.9999, 0.99, 0.99), "lossless"),
        (figures(0.99989, 0.999, 1.0), "high"),
        (figures(0.99995, 0.999, 0.9899), "high"),
        (figures(0.999, 0.99, 0.97), "high"),
        (figures(0.99995, 0.9899, 1.0), "balanced"),  # lossless is never below high
        (figures(0.9989, 0.99, 0.97), "balanced"),
        (figures(0.997, 0.97, 0.95), "balanced"),
        (figures(0.9969, 0.99, 0.99), None),
        (figures(0.999, 0.9699, 0.99), None),
        (figures(0.999, 0.99, 0.9499), None),
        (figures(mean=math.nan), None),
    ],
)
def test_classify(fidelity, found):
    assert classify(fidelity) == found


def test_failures_name_every_figure():
    failures = class_failures(figures(0.9, 0.8, 0.7), "high")
    assert failures == (
        "mean cosine 0.90000 is below 0.999",
        "lowest cosine 0.80000 is below 0.99",
        "top-10 overlap 0.70000 is below 0.97",
    )


def test_keeps_is_the_order_of_the_classes():
    order = ["exact", "lossless", "high", "balanced"]
    for at, found in enumerate(order):
        for place, wanted in enumerate(order):
            assert keeps(found, wanted) is (at <= place)
    assert not any(keeps(None, wanted) for wanted in order)


def scores(mean=0.0, worst=0.0, overlap=1.0):
    return ScoreFidelity(pairs=450, queries=20, mean_abs_diff=mean, max_abs_diff=worst, top10_overlap=overlap)


@pytest.mark.parametrize(
    ("fidelity", "found"),
    [
        (scores(), "lossless"),
        (scores(0.0015, 0.05, 0.99), "lossless"),
        (scores(0.0016), "high"),
        (scores(worst=0.051), "high"),
        (scores(overlap=0.98), "high"),
        (scores(0.005, 0.1, 0.97), "high"),
        (scores(0.01, 0.2, 0.95), "balanced"),
        (scores(0.011), None),
        (scores(worst=0.21), None),
        (scores(overlap=0.94), None),
        (scores(mean=math.nan), None),
    ],
)
def test_classes_of_scores(fidelity, found):
    assert classify(fidelity) == found


def test_failures_of_scores_name_every_figure():
    assert class_failures(scores(0.02, 0.3, 0.9), "high") == (
        "mean difference 0.02000 is above 0.005",
        "largest difference 0.30000 is above 0.1",
        "top-10 overlap 0.90000 is below 0.97",
    )
    found = class_failures(scores(0.0052), "high", allowance={"mean_abs_diff": 0.0001})
    assert found == ("mean difference 0.00520 is above 0.005 by more than 0.00010",)
    assert not class_failures(scores(0.0052), "high", allowance={"mean_abs_diff": 0.0003})
    assert class_failures(scores(0.0048), "high", room=0.9)
    assert class_failures(scores(0.0048), "high", allowance={"mean_abs_diff": -0.0003})


def test_what_a_class_allows_to_be_lost():
    assert allowed_losses(Fidelity, "high") == (pytest.approx(0.001), pytest.approx(0.01))
    assert allowed_losses(ScoreFidelity, "high") == (0.005, 0.1)
    assert closeness(figures(0.9)) == 0.9
    assert closeness(scores(0.1)) == pytest.approx(0.9)
