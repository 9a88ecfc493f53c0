"""Whether two sides give the same: by what the labels of a reranker mean."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from stonnx.bench.agreement import largest_score_diff

LOGITS = np.array([[2.0, 2.0, -1.0], [0.0, 1.0, 0.5]], dtype=np.float32)


def sides(a, b):
    return SimpleNamespace(
        **{
            name: SimpleNamespace(name=name, results=lambda _, found=found: found)
            for name, found in (("a", a), ("b", b))
        }
    )


def test_labels_that_exclude_each_other_are_compared_by_their_softmax():
    shifted = sides(LOGITS + np.float32(1), LOGITS)
    assert largest_score_diff(shifted, [], activation="Identity") == pytest.approx(0, abs=1e-6)
    sigmoid = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    moved = 1 / (1 + np.exp(-1 - LOGITS.astype(np.float64)))
    found = largest_score_diff(shifted, [], activation="Sigmoid")
    assert found == pytest.approx(np.abs(moved - sigmoid).max(), abs=1e-6)


def test_one_label_is_a_sigmoid_whatever_the_activation():
    one = sides(LOGITS[:, :1] + np.float32(1), LOGITS[:, :1])
    found = [largest_score_diff(one, [], activation=name) for name in ("Identity", "Sigmoid")]
    assert found[0] == found[1] > 0.1
