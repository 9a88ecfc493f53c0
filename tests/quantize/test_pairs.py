"""Pairs to quantise with, and the yardsticks that judge by them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from stonnx.quantize.pairs import calibration_pairs, held_out_pairs
from stonnx.quantize.texts import calibration_edges, calibration_texts, selection_texts
from stonnx.quantize.yardsticks import EmbeddingYardstick, ScoreYardstick
from stonnx.verify import probe_pairs
from stonnx.verify.metrics import compare
from stonnx.verify.score_metrics import LEAST_DOCUMENTS, compare_scores


def test_held_out_pairs_are_rankings_with_one_answer_each():
    pairs = held_out_pairs().natural
    answers = [document for _, document in pairs[::LEAST_DOCUMENTS]]
    assert min(len(text.encode()) for text in answers) >= 80  # the beginning of a short text leaves nothing to ask for
    counts = Counter(query for query, _ in pairs)
    assert set(counts.values()) == {LEAST_DOCUMENTS}
    assert len(set(pairs)) == len(pairs)
    for query in counts:
        assert (
            sum(
                document.split()[: len(query.split())] == query.split() or document.startswith(query)
                for asked, document in pairs
                if asked == query
            )
            >= 1
        )


def test_calibration_held_out_and_probes_share_no_pair():
    calibration = set(calibration_pairs(calibration_texts(), calibration_edges()))
    held_out = set(held_out_pairs().natural) | set(held_out_pairs().odd)
    assert not calibration & held_out
    assert not (calibration | held_out) & set(probe_pairs())
    documents = {document for _, document in held_out_pairs().natural}
    assert documents <= set(selection_texts())
    assert not documents & {text for pair in calibration for text in pair}


def test_every_text_is_calibrated_on():
    pairs = calibration_pairs(("one two", "three", "four"), ("odd",))
    assert {document for _, document in pairs} == {"one two", "three", "four", "odd"}
    assert calibration_pairs(()) == ()


@pytest.mark.parametrize("labels", [1, 3])
def test_scores_are_judged_like_verification_does_but_for_chance(labels):
    rng = np.random.default_rng(3)
    wanted = rng.normal(size=(45, labels)).astype(np.float32)
    found = wanted + np.float32(0.05) * rng.normal(size=wanted.shape).astype(np.float32)
    found[42] += 1.0 + np.arange(labels, dtype=np.float32)  # an odd pair
    queries = ("a",) * 20 + ("b",) * 20
    yardstick = ScoreYardstick(queries=queries, activation="Identity")
    fidelity = yardstick.fidelity(found, wanted)
    natural = compare_scores(found[:40], wanted[:40], queries, activation="Identity").fidelity
    assert (fidelity.pairs, fidelity.queries) == (45, 2)
    assert fidelity.mean_abs_diff == natural.mean_abs_diff
    assert fidelity.max_abs_diff > 2 * natural.max_abs_diff
    losses = yardstick.losses(found, wanted)
    assert (losses.shape, losses.dtype, int(losses.argmax())) == ((45,), np.float32, 42)
    assert losses.max() == pytest.approx(fidelity.max_abs_diff, rel=1e-6)
    assert yardstick.fidelity(wanted, wanted).top10_overlap == 1.0


def test_the_overlap_of_scores_is_that_of_five_to_fifteen():
    wanted = np.arange(40, dtype=np.float32)[::-1, None].copy()
    found = wanted.copy()
    found[[4, 20]] = found[[20, 4]]  # the fifth best is found far behind the fifteenth
    yardstick = ScoreYardstick(queries=("a",) * 40, activation="Sigmoid")
    shares = [(best - 1) / best for best in range(5, 16)]
    assert yardstick.fidelity(found, wanted).top10_overlap == pytest.approx(np.mean(shares))


def test_embeddings_are_judged_as_ever():
    rng = np.random.default_rng(4)
    wanted = rng.normal(size=(30, 8)).astype(np.float32)
    found = wanted + np.float32(0.05) * rng.normal(size=wanted.shape).astype(np.float32)
    found[28] = -wanted[28]
    fidelity = EmbeddingYardstick(natural=25).fidelity(found, wanted)
    assert fidelity.texts == 30
    assert fidelity.cosine_mean == compare(found[:25], wanted[:25]).fidelity.cosine_mean
    assert fidelity.cosine_min == pytest.approx(-1.0)
