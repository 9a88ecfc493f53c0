"""Fidelity classes: the issue's bounds, and their order."""

from __future__ import annotations

import math

import pytest

from stonnx.artifact import Fidelity, classify, keeps
from stonnx.artifact.fidelity_class import class_failures


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
