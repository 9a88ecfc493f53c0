"""How the results of a quantised model are held against those of the float32 graph: a class for each kind."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Fidelity, ScoreFidelity
from stonnx.artifact.fidelity_class import AnyFidelity
from stonnx.runtime.probabilities import probabilities
from stonnx.verify.metrics import compare, cosines, neighbour_overlap, unit_rows
from stonnx.verify.score_metrics import compare_scores, log_odds, ranking_shares

__all__ = ["EmbeddingYardstick", "ScoreYardstick", "Yardstick"]

# The overlap is that of ten, averaged over a few more and a few less: over so few rows, chance moves that of ten alone.
_NEIGHBOURS = range(5, 16)


class Yardstick(Protocol):
    """Judges results by those of the float32 graph."""

    @property
    def output(self) -> str:
        """The graph output that is compared."""

    @property
    def figures(self) -> type[AnyFidelity]:
        """What kind of figures it gives."""

    def fidelity(self, found: NDArray[np.float32], wanted: NDArray[np.float32]) -> AnyFidelity:
        """The figures of results, float32, shape (rows, width), with less chance in them than verification's.

        Odd rows lie close together, where a trifle changes the order: they only tell how far the worst row is off.
        """

    def losses(self, found: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
        """How far each row is off, as the class bounds it, float32, shape (rows,)."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingYardstick:
    """Cosines and neighbours.

    Attributes:
        natural: How many rows, from the first, decide on means; the odd ones after them count for the lowest cosine.
    """

    natural: int
    output: str = "sentence_embedding"
    figures: type[Fidelity] = Fidelity

    def fidelity(self, found: NDArray[np.float32], wanted: NDArray[np.float32]) -> Fidelity:
        """Cosines of all rows and of the natural ones, and the overlap of these."""
        some, theirs = found[: self.natural], wanted[: self.natural]
        left, right = unit_rows(some), unit_rows(theirs)
        return replace(
            compare(some, theirs).fidelity,
            texts=len(found),
            cosine_min=float(cosines(found, wanted).min()),
            top10_overlap=statistics.fmean(neighbour_overlap(left, right, k) for k in _NEIGHBOURS),
        )

    def losses(self, found: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
        """1 - cosine of each row."""
        return (1 - cosines(found, wanted)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class ScoreYardstick:
    """Probabilities and rankings.

    Attributes:
        queries: The query of each row that belongs to a ranking, from the first; the odd pairs after them count for
            the largest difference.
        activation: The model's, a class name of ``torch.nn``.
    """

    queries: Sequence[str]
    activation: str
    output: str = "logits"
    figures: type[ScoreFidelity] = ScoreFidelity

    def fidelity(self, found: NDArray[np.float32], wanted: NDArray[np.float32]) -> ScoreFidelity:
        """Differences of all rows and of those of rankings, and the overlap of these."""
        natural = slice(len(self.queries))
        some, theirs = found[natural], wanted[natural]
        odds = log_odds(some, self.activation), log_odds(theirs, self.activation)
        return replace(
            compare_scores(some, theirs, self.queries, activation=self.activation).fidelity,
            pairs=len(found),
            max_abs_diff=float(self.losses(found, wanted).max()),
            top10_overlap=statistics.fmean(
                float(ranking_shares(*odds, self.queries, best=best).mean()) for best in _NEIGHBOURS
            ),
        )

    def losses(self, found: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
        """The largest difference of a probability of each row."""
        mine, theirs = probabilities(found, self.activation), probabilities(wanted, self.activation)
        largest: NDArray[np.float64] = np.abs(mine - theirs).max(axis=1)
        return largest.astype(np.float32)
