"""How close two sets of a reranker's outputs are: probabilities, and the ten best documents of each query.

>>> import numpy as np
>>> from stonnx.verify.score_metrics import compare_scores
>>> reference = np.linspace(-3, 3, 40, dtype=np.float32)[:, None]
>>> compared = compare_scores(reference + np.float32(0.1), reference, ["a query"] * 40, activation="Sigmoid")
>>> round(compared.fidelity.mean_abs_diff, 3), compared.fidelity.top10_overlap
(0.015, 1.0)

The definitions, and why they are what they are, stand in docs/decisions ("Classes for scores").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import ScoreFidelity
from stonnx.runtime.probabilities import are_independent, probabilities
from stonnx.verify.metrics import standard_error

__all__ = ["LEAST_DOCUMENTS", "ScoreComparison", "compare_scores", "log_odds", "ranking_shares"]

_BEST = 10
LEAST_DOCUMENTS = 2 * _BEST
"""A query with fewer documents has no ranking that counts: which ten are the best would be given by their number."""

_TIE = 1e-6  # log-odds closer than this count as equal


@dataclass(frozen=True, kw_only=True)
class ScoreComparison:
    """Agreement of a candidate's scores with a reference's.

    Attributes:
        fidelity: The figures.
        worst: Index of the pair with the largest difference of a probability.
        max_logit_diff: Largest difference of two logits, relative to the reference's where that is larger than 1.
        mean_error: Standard error of the mean difference over the pairs: how far off that of other pairs typically is.
        overlap_error: Standard error of the mean overlap over the queries.
    """

    fidelity: ScoreFidelity
    worst: int
    max_logit_diff: float
    mean_error: float
    overlap_error: float

    @property
    def errors(self) -> dict[str, float]:
        """The standard errors of the means, by the name of the figure."""
        return {"mean_abs_diff": self.mean_error, "top10_overlap": self.overlap_error}


def compare_scores(
    candidate: NDArray[np.float32], reference: NDArray[np.float32], queries: Sequence[str], *, activation: str
) -> ScoreComparison:
    """Compare two sets of logits, computed in float64.

    Args:
        candidate: Shape (pairs, labels), at least one pair.
        reference: The same shape.
        queries: The query of each pair; equal ones belong to one ranking.
        activation: The model's, a class name of ``torch.nn``; it says what several labels mean
            (``stonnx.runtime.probabilities``).

    Raises:
        ValueError: The shapes differ, or there is no pair.
    """
    if candidate.shape != reference.shape or candidate.ndim != 2 or not candidate.size:
        raise ValueError(f"Cannot compare shapes {candidate.shape} and {reference.shape}.")
    differences = np.abs(probabilities(candidate, activation) - probabilities(reference, activation))
    by_pair = np.nan_to_num(differences, nan=1.0)  # a score that is not a number is as wrong as one can be
    shares = ranking_shares(log_odds(candidate, activation), log_odds(reference, activation), queries)
    fidelity = ScoreFidelity(
        pairs=len(candidate),
        queries=len(shares),
        mean_abs_diff=float(by_pair.mean()),
        max_abs_diff=float(by_pair.max()),
        top10_overlap=float(shares.mean()) if len(shares) else 1.0,
    )
    scale = np.maximum(np.abs(reference.astype(np.float64)), 1.0)
    logit_diff = np.abs(candidate.astype(np.float64) - reference) / scale  # NaN stays, and keeps no bound
    return ScoreComparison(
        fidelity=fidelity,
        worst=int(by_pair.max(axis=1).argmax()),
        max_logit_diff=float(logit_diff.max()),
        mean_error=standard_error(by_pair.mean(axis=1)),
        overlap_error=standard_error(shares),
    )


def log_odds(logits: NDArray[np.float32], activation: str) -> NDArray[np.float64]:
    """log(p / (1 - p)) of the first label's probability: its order, without ever reaching 0 or 1.

    Args:
        logits: float32, shape (pairs, labels).
        activation: The model's, a class name of ``torch.nn``.

    Returns:
        float64, shape (pairs,).
    """
    wide = logits.astype(np.float64)
    if are_independent(logits, activation):
        return wide[:, 0]
    with np.errstate(invalid="ignore"):
        odds: NDArray[np.float64] = wide[:, 0] - np.logaddexp.reduce(wide[:, 1:], axis=1)
    return odds


def ranking_shares(
    candidate: NDArray[np.float64], reference: NDArray[np.float64], queries: Sequence[str], *, best: int = _BEST
) -> NDArray[np.float64]:
    """The share of each query's best documents that both sides agree on.

    A document that the candidate names counts when the reference finds it as good as its own last one, so documents
    that are equally good may stand in any order. It is the rule of ``neighbour_shares``.

    Args:
        candidate: Log-odds, shape (pairs,).
        reference: Log-odds, the same shape.
        queries: The query of each pair.
        best: How many are the best.

    Returns:
        0 to 1, float64, shape (queries with at least ``LEAST_DOCUMENTS`` documents,), in the order of the queries.
    """
    rows: dict[str, list[int]] = {}
    for row, query in enumerate(queries):
        rows.setdefault(query, []).append(row)
    rankings = [chosen for chosen in rows.values() if len(chosen) >= LEAST_DOCUMENTS]
    return np.array([_share(candidate[chosen], reference[chosen], best) for chosen in rankings], dtype=np.float64)


def _share(candidate: NDArray[np.float64], reference: NDArray[np.float64], best: int) -> float:
    mine = np.argsort(-candidate, kind="stable")[:best]
    bar = np.sort(reference)[-best] - _TIE
    return float(np.count_nonzero(reference[mine] >= bar) / best)
