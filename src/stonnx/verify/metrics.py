"""How close two sets of vectors are: cosine, largest difference, neighbours, rank correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Fidelity

__all__ = [
    "Comparison",
    "compare",
    "cosines",
    "neighbour_overlap",
    "neighbour_shares",
    "spearman",
    "standard_error",
    "unit_rows",
]

_NEIGHBOURS = 10
_TIE = 1e-6  # similarities closer than this count as equal


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Agreement of a candidate with a reference.

    Attributes:
        fidelity: The figures.
        worst: Index of the text with the lowest cosine.
        max_norm_diff: Largest relative difference between the lengths of the two vectors of a text.
        cosine_error: Standard error of the mean cosine: how far off that of other texts typically is.
        overlap_error: Standard error of the mean overlap of neighbours.
    """

    fidelity: Fidelity
    worst: int
    max_norm_diff: float
    cosine_error: float
    overlap_error: float

    @property
    def errors(self) -> dict[str, float]:
        """The standard errors of the means, by the name of the figure."""
        return {"cosine_mean": self.cosine_error, "top10_overlap": self.overlap_error}


def compare(candidate: NDArray[np.float32], reference: NDArray[np.float32]) -> Comparison:
    """Compare two sets of vectors, computed in float64.

    Args:
        candidate: Shape (texts, dimension), at least one text.
        reference: The same shape.

    Raises:
        ValueError: The shapes differ, or there is no text.
    """
    if candidate.shape != reference.shape or candidate.ndim != 2 or not len(candidate):
        raise ValueError(f"Cannot compare shapes {candidate.shape} and {reference.shape}.")
    left, right = unit_rows(candidate), unit_rows(reference)
    cosine = cosines(candidate, reference)
    shares = neighbour_shares(left, right)
    lengths = np.linalg.norm(candidate.astype(np.float64), axis=1), np.linalg.norm(reference.astype(np.float64), axis=1)
    fidelity = Fidelity(
        texts=len(candidate),
        cosine_mean=float(cosine.mean()),
        cosine_min=float(cosine.min()),
        max_abs_diff=float(np.abs(left - right).max()),
        top10_overlap=float(shares.mean()),
    )
    norm_diff = np.abs(lengths[0] - lengths[1]) / np.maximum(lengths[1], np.finfo(np.float64).tiny)
    return Comparison(
        fidelity=fidelity,
        worst=int(cosine.argmin()),
        max_norm_diff=float(norm_diff.max()),
        cosine_error=standard_error(cosine),
        overlap_error=standard_error(shares),
    )


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rows scaled to unit length, float64, shape (rows, width) as ``vectors``; rows of zeros stay zero."""
    rows = vectors.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float64] = rows / np.where(norms == 0, 1.0, norms)
    return unit


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine of each pair of rows, float64, shape (texts,); two rows of zeros agree, NaN counts as -1."""
    a, b = unit_rows(left), unit_rows(right)
    cosine = np.einsum("ij,ij->i", a, b)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    cosine[both_zero] = 1.0
    found: NDArray[np.float64] = np.nan_to_num(np.minimum(cosine, 1.0), nan=-1.0)
    return found


def neighbour_overlap(candidate: NDArray[np.float64], reference: NDArray[np.float64], k: int = _NEIGHBOURS) -> float:
    """Mean over the texts of ``neighbour_shares``: 0 to 1; 1 when there are no other texts.

    Args:
        candidate: Unit vectors, float64, shape (texts, dimension).
        reference: The same of the reference.
        k: How many neighbours.
    """
    return float(neighbour_shares(candidate, reference, k).mean())


def neighbour_shares(
    candidate: NDArray[np.float64], reference: NDArray[np.float64], k: int = _NEIGHBOURS
) -> NDArray[np.float64]:
    """The share of each text's k nearest neighbours that both sides agree on.

    A neighbour that the candidate names counts when the reference finds it at least as similar as
    its own k-th neighbour; so texts that are equally near (duplicates) may stand in any order.
    The plain overlap of the two sets, which knows no ties, is lower where texts are alike (docs/decisions/0008).

    Args:
        candidate: Unit rows, shape (texts, dimension).
        reference: Unit rows, the same shape.
        k: Neighbours per text; with fewer other texts, all of them.

    Returns:
        0 to 1, float64, shape (texts,); 1 when there are no other texts.
    """
    texts = len(candidate)
    k = min(k, texts - 1)
    if k < 1:
        return np.ones(texts)
    shares = np.empty(texts)
    for row in range(texts):
        mine, theirs = candidate @ candidate[row], reference @ reference[row]
        mine[row] = theirs[row] = -np.inf
        nearest = np.argpartition(-mine, k - 1)[:k]
        bar = np.partition(theirs, texts - k)[texts - k] - _TIE
        shares[row] = np.count_nonzero(theirs[nearest] >= bar) / k
    return shares


def spearman(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Spearman's rank correlation: Pearson's r of the average ranks (Spearman 1904).

    Args:
        left: Shape (pairs,), at least two.
        right: The same shape.

    Returns:
        -1 to 1; NaN when one side is constant.
    """
    a, b = _average_ranks(left), _average_ranks(right)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else float("nan")


def standard_error(values: NDArray[np.float64]) -> float:
    """Standard error of the mean, s / sqrt(n), of float64 values, shape (n,); 0 for one, which tells nothing of it."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2.0)[inverse]
    return ranks
