"""The similarity functions of Sentence Transformers, on NumPy arrays.

For example::

    normalize_rows(vectors)                  # in place
    scores = similarity_matrix(queries, documents, function="cosine")
    scores.argmax(axis=1)                    # the nearest document of each query
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stonnx.artifact.manifest import Similarity
from stonnx.errors import UsageError

__all__ = ["normalize_rows", "similarity_matrix"]

Floats = NDArray[np.float32]

_EPSILON = 1e-12  # as torch.nn.functional.normalize


def normalize_rows(vectors: Floats) -> None:
    """Scale each row to unit length, in place; a row of zeros stays.

    Args:
        vectors: float32, shape (rows, dimension).
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, np.maximum(norms, _EPSILON), out=vectors)


def similarity_matrix(a: ArrayLike, b: ArrayLike, *, function: Similarity) -> Floats:
    """How similar each vector of ``a`` is to each of ``b``; larger is more similar.

    Args:
        a: float32, shape (rows of a, dimension); one vector may come as (dimension,).
        b: float32, shape (rows of b, dimension); one vector may come as (dimension,).
        function: ``cosine``, ``dot``, or the negated distances ``euclidean`` and ``manhattan``.

    Returns:
        float32, shape (rows of a, rows of b).

    Raises:
        UsageError: The shapes do not fit.
    """
    left, right = _matrix(a, "a"), _matrix(b, "b")
    if left.shape[1] != right.shape[1]:
        raise UsageError(f"a has {left.shape[1]} dimensions and b has {right.shape[1]}; they must agree.")
    return _FUNCTIONS[function](left, right)


def _matrix(vectors: ArrayLike, name: str) -> Floats:
    matrix = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    if matrix.ndim != 2:
        raise UsageError(f"{name} has the shape {matrix.shape}; expected (rows, dimension).")
    return matrix


def _cosine(a: Floats, b: Floats) -> Floats:
    a, b = a.copy(), b.copy()
    normalize_rows(a)
    normalize_rows(b)
    return a @ b.T


def _dot(a: Floats, b: Floats) -> Floats:
    return a @ b.T


def _euclidean(a: Floats, b: Floats) -> Floats:
    return _by_rows(a, b, lambda differences: np.linalg.norm(differences, axis=1))


def _manhattan(a: Floats, b: Floats) -> Floats:
    return _by_rows(a, b, lambda differences: np.abs(differences).sum(axis=1))


def _by_rows(a: Floats, b: Floats, length: Callable[[Floats], Floats]) -> Floats:
    """Negated distances, row by row: exact for near-duplicates, and never a cube of differences."""
    out = np.empty((len(a), len(b)), dtype=np.float32)
    for index, row in enumerate(a):
        out[index] = -length(b - row)
    return out


_FUNCTIONS: dict[Similarity, Callable[[Floats, Floats], Floats]] = {
    "cosine": _cosine,
    "dot": _dot,
    "euclidean": _euclidean,
    "manhattan": _manhattan,
}
