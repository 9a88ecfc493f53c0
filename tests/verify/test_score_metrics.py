"""The figures of scores: probabilities by their definition, rankings that know ties, errors of the means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.runtime.probabilities import probabilities
from stonnx.verify.score_metrics import LEAST_DOCUMENTS, compare_scores, log_odds, ranking_shares

LOGITS = np.array([[-3.0, 0.5, 2.0], [0.0, 0.0, 0.0], [40.0, -40.0, 1.0]], dtype=np.float32)


def ranking(count=LEAST_DOCUMENTS, name="q"):
    return [name] * count


def column(values):
    return np.array(values, dtype=np.float32).reshape(-1, 1)


def test_one_label_is_a_sigmoid_whatever_the_models_own_scores_are():
    wide = LOGITS[:, :1].astype(np.float64)
    for activation in ("Sigmoid", "Identity", "Tanh"):
        np.testing.assert_allclose(probabilities(LOGITS[:, :1], activation), 1 / (1 + np.exp(-wide)), rtol=1e-12)


def test_several_labels_exclude_each_other_unless_their_activation_is_a_sigmoid():
    wide = LOGITS.astype(np.float64)
    powers = np.exp(wide)
    np.testing.assert_allclose(probabilities(LOGITS, "Identity"), powers / powers.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities(LOGITS, "Sigmoid"), 1 / (1 + np.exp(-wide)))


@given(st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=5), st.sampled_from(["Sigmoid", "Identity"]))
def test_log_odds_are_those_of_the_first_label(values, activation):
    logits = np.array([values], dtype=np.float32)
    first = probabilities(logits, activation)[0, 0]
    rest = 1 - first if activation == "Sigmoid" else probabilities(logits, activation)[0, 1:].sum()
    assert log_odds(logits, activation)[0] == pytest.approx(np.log(first) - np.log(rest), rel=1e-6, abs=1e-6)


def test_log_odds_order_what_the_sigmoid_cannot_tell_apart():
    assert (np.diff(log_odds(column([40, 41, 42]), "Sigmoid")) == 1).all()


def test_the_best_ten_are_compared_by_query():
    reference = np.arange(2 * LEAST_DOCUMENTS, dtype=np.float64)
    candidate = reference.copy()
    candidate[LEAST_DOCUMENTS + 10] = -1.0  # the last of the second query's ten falls out, and another comes in
    queries = ranking(name="a") + ranking(name="b")
    assert ranking_shares(candidate, reference, queries).tolist() == [1.0, 0.9]
    shuffled = np.random.default_rng(0).permutation(len(queries))
    again = ranking_shares(candidate[shuffled], reference[shuffled], [queries[row] for row in shuffled])
    assert sorted(again) == [0.9, 1.0]


def test_a_query_with_few_documents_has_no_ranking():
    scores = np.arange(LEAST_DOCUMENTS - 1, dtype=np.float64)
    assert len(ranking_shares(scores, scores, ranking(LEAST_DOCUMENTS - 1))) == 0
    found = compare_scores(column(scores), column(-scores), ranking(LEAST_DOCUMENTS - 1), activation="Sigmoid")
    assert (found.fidelity.queries, found.fidelity.top10_overlap, found.overlap_error) == (0, 1.0, 0.0)


def test_documents_that_are_equally_good_may_stand_in_any_order():
    reference = np.concatenate([np.full(9, 5.0), np.full(6, 1.0), np.full(5, 0.0)])
    candidate = reference + 1e-9 * np.arange(20)[::-1]
    assert ranking_shares(candidate, reference, ranking()).tolist() == [1.0]
    assert ranking_shares(candidate[::-1], reference, ranking()).tolist() == [0.5]
    other = reference + 1e-9 * np.arange(20)  # the reference has an order of its own among them
    assert ranking_shares(candidate, other, ranking()).tolist() == [1.0]
    assert ranking_shares(candidate, reference + 1e-3 * np.arange(20), ranking()).tolist() == [0.9]


@given(st.integers(0, 10**6))
def test_without_ties_it_is_the_overlap_of_two_sets(seed):
    rng = np.random.default_rng(seed)
    candidate, reference = rng.permutation(25).astype(float), rng.permutation(25).astype(float)
    both = set(np.argsort(candidate)[-10:]) & set(np.argsort(reference)[-10:])
    assert ranking_shares(candidate, reference, ranking(25))[0] == len(both) / 10


def test_figures():
    reference = column(np.linspace(-4, 4, 40))
    candidate = reference.copy()
    candidate[7] += 1.0
    found = compare_scores(candidate, reference, ranking(40), activation="Sigmoid")
    off = np.abs(probabilities(candidate, "Sigmoid") - probabilities(reference, "Sigmoid"))
    assert found.worst == 7
    assert (found.fidelity.pairs, found.fidelity.queries) == (40, 1)
    assert found.fidelity.max_abs_diff == pytest.approx(off.max())
    assert found.fidelity.mean_abs_diff == pytest.approx(off.max() / 40)
    assert found.max_logit_diff == pytest.approx(1 / abs(reference[7, 0]), rel=1e-6)
    assert found.mean_error == pytest.approx(off.std(ddof=1) / np.sqrt(40))
    assert found.errors == {"mean_abs_diff": found.mean_error, "top10_overlap": found.overlap_error}


def test_the_worst_label_counts():
    wrong = LOGITS.copy()
    wrong[1, 2] = 3.0
    wrong[0, 0] += 1.0  # a little, and in the first label
    found = compare_scores(wrong, LOGITS, ["q"] * 3, activation="Sigmoid")
    off = np.abs(probabilities(wrong, "Sigmoid") - probabilities(LOGITS, "Sigmoid"))
    assert (off[:, 0].argmax(), found.worst) == (0, 1)
    assert found.mean_error == pytest.approx(off.mean(axis=1).std(ddof=1) / np.sqrt(3))  # of pairs, not of labels
    wrong[0, 0] = LOGITS[0, 0]
    found = compare_scores(wrong, LOGITS, ["q"] * 3, activation="Identity")
    assert found.worst == 1
    assert found.fidelity.max_abs_diff == pytest.approx(probabilities(wrong, "Identity")[1, 2] - 1 / 3, abs=1e-6)


def test_what_is_no_number_is_as_wrong_as_can_be():
    reference = column(np.linspace(-4, 4, 20))
    candidate = reference.copy()
    candidate[3] = np.nan
    found = compare_scores(candidate, reference, ranking(), activation="Sigmoid")
    assert (found.worst, found.fidelity.max_abs_diff) == (3, 1.0)
    assert not found.max_logit_diff <= 1


@pytest.mark.parametrize("shapes", [((3, 1), (2, 1)), ((3, 1), (3, 2)), ((0, 1), (0, 1)), ((3,), (3,))])
def test_shapes_must_fit(shapes):
    with pytest.raises(ValueError, match="Cannot compare"):
        compare_scores(*(np.zeros(shape, np.float32) for shape in shapes), ["q"] * 3, activation="Sigmoid")
