"""One variant of a reranker against reference scores: the figures, the class they keep, and what was promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import PairGoldens
from stonnx.artifact.manifest import FidelityClass
from stonnx.runtime import Reranker
from stonnx.verify.certainty import broken_bounds, is_sure, settled_class
from stonnx.verify.metrics import spearman
from stonnx.verify.pairs import LabelledPair
from stonnx.verify.report import SCORE_BATCH_DIFF, ScoreTolerance, ScoreVariantReport
from stonnx.verify.sample import alone_sample
from stonnx.verify.score_metrics import ScoreComparison, compare_scores, log_odds

__all__ = ["measure_scores", "pair_log_odds"]

_ALONE_EVERY = 16  # of the pairs, this share is also scored alone: four times as many as there are texts
_SHOWN_CHARACTERS = 60

_EXACT = ScoreTolerance()


def measure_scores(
    reranker: Reranker,
    goldens: PairGoldens,
    *,
    pairs: Sequence[LabelledPair] = (),
    reference_odds: NDArray[np.float64] | None = None,
) -> ScoreVariantReport:
    """Compare what a reranker gives with reference scores, and hold it to the class that its variant promises.

    Args:
        reranker: Runs the variant.
        goldens: Pairs and the reference's scores.
        pairs: Labelled pairs for Spearman's rank correlation.
        reference_odds: The reference's log-odds of the labelled pairs, float64, shape (pairs,); None if it was not
            run.

    Raises:
        RunError: The engine failed.
        ArtifactError: The manifest does not say how the model scores.
    """
    activation = reranker.activation
    logits = _logits(reranker, goldens.pairs)
    queries = [query for query, _ in goldens.pairs]
    compared = compare_scores(logits, goldens.logits, queries, activation=activation)
    some = alone_sample([first + second for first, second in goldens.pairs], every=_ALONE_EVERY)
    with ThreadPoolExecutor(reranker.streams, thread_name_prefix="stonnx-alone") as pool:  # each in a run of its own
        alone = np.concatenate(list(pool.map(lambda index: _logits(reranker, [goldens.pairs[index]]), some)))
    scores = _rows(reranker.predict([goldens.pairs[index] for index in some]), len(some))
    batch_diff = _relative_diff(alone, logits[some])
    score_diff = _relative_diff(scores, goldens.scores[some])
    mine = pair_log_odds(lambda chosen: _logits(reranker, chosen), pairs, activation=activation)
    gold = np.array([pair.score for pair in pairs], dtype=np.float64)
    promised = reranker.variant.fidelity_class
    failures = _Failures(compared, batch_diff=batch_diff, score_diff=score_diff)
    measured = failures.measured_class(promised)
    worst = goldens.pairs[compared.worst]
    report = ScoreVariantReport(
        name=reranker.variant.name,
        fidelity=compared.fidelity,
        max_logit_diff=compared.max_logit_diff,
        max_score_diff=score_diff,
        max_batch_diff=batch_diff,
        worst_pair=(worst[0][:_SHOWN_CHARACTERS], worst[1][:_SHOWN_CHARACTERS]),
        spearman=None if mine is None else spearman(mine, gold),
        reference_spearman=None if reference_odds is None else spearman(reference_odds, gold),
        failures=(),
        fidelity_class=promised,
        measured_class=measured,
        mean_error=compared.mean_error,
        overlap_error=compared.overlap_error,
        class_is_sure=not batch_diff <= SCORE_BATCH_DIFF or is_sure(compared, measured),
    )
    return replace(report, failures=failures.of(promised))


def pair_log_odds(
    logits_of: Callable[[list[tuple[str, str]]], NDArray[np.float32]],
    pairs: Sequence[LabelledPair],
    *,
    activation: str,
) -> NDArray[np.float64] | None:
    """Log-odds of the first label of each labelled pair, float64, shape (pairs,); None without pairs.

    Args:
        logits_of: Gives the logits of pairs, float32, shape (pairs, labels).
        pairs: The labelled pairs.
        activation: The model's, a class name of ``torch.nn``.
    """
    if not pairs:
        return None
    return log_odds(logits_of([(pair.first, pair.second) for pair in pairs]), activation)


class _Failures:
    """What speaks against each class, in the figures of one comparison."""

    def __init__(self, compared: ScoreComparison, *, batch_diff: float, score_diff: float) -> None:
        self._compared = compared
        self._batch_diff = batch_diff
        self._score_diff = score_diff

    def of(self, promised: FidelityClass) -> tuple[str, ...]:
        """One sentence per bound of the promised class that was not kept."""
        upper = [("difference between alone and in a batch", self._batch_diff, SCORE_BATCH_DIFF)]
        failures: list[str] = []
        if promised == "exact":
            upper = [
                ("largest difference of a probability", self._compared.fidelity.max_abs_diff, _EXACT.max_abs_diff),
                ("largest difference of a logit", self._compared.max_logit_diff, _EXACT.max_logit_diff),
                ("largest difference of a score", self._score_diff, _EXACT.max_score_diff),
                ("difference between alone and in a batch", self._batch_diff, _EXACT.max_batch_diff),
            ]
        else:
            failures.extend(broken_bounds(self._compared, promised, promised=promised))
        # Not ">": a figure that is not a number is a failure.
        failures.extend(
            f"{label} {value:.1e} is above {bound:.0e}" for label, value, bound in upper if not value <= bound
        )
        return tuple(failures)

    def measured_class(self, promised: FidelityClass) -> FidelityClass | None:
        """The closest class that is kept; None for none."""
        if not self.of("exact"):
            return "exact"
        return settled_class(self._compared, promised=promised) if self._batch_diff <= SCORE_BATCH_DIFF else None


def _logits(reranker: Reranker, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
    """Shape (pairs, labels)."""
    return _rows(reranker.predict(pairs, activation_fn="Identity"), len(pairs))


def _rows(found: NDArray[np.float32] | np.float32, pairs: int) -> NDArray[np.float32]:
    """(pairs,) of one label, or (pairs, labels) -> (pairs, labels)."""
    return np.asarray(found, dtype=np.float32).reshape(pairs, -1)


def _relative_diff(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Largest difference, relative to what is wanted where that is larger than 1."""
    scale = np.maximum(np.abs(wanted.astype(np.float64)), 1.0)
    return float((np.abs(found.astype(np.float64) - wanted) / scale).max())
