from __future__ import annotations

import numpy as np
import pytest

from stonnx.errors import UsageError
from stonnx.runtime.similarity import normalize_rows, similarity_matrix

rng = np.random.default_rng(1)
A = rng.standard_normal((4, 6)).astype(np.float32)
B = rng.standard_normal((3, 6)).astype(np.float32)
FORMULAS = {
    "cosine": lambda a, b: a @ b / (np.linalg.norm(a) * np.linalg.norm(b)),
    "dot": lambda a, b: a @ b,
    "euclidean": lambda a, b: -np.sqrt(((a - b) ** 2).sum()),
    "manhattan": lambda a, b: -np.abs(a - b).sum(),
}


@pytest.mark.parametrize("function", FORMULAS)
def test_each_function_is_its_formula(function):
    before = A.copy(), B.copy()
    matrix = similarity_matrix(A, B, function=function)
    expected = [[FORMULAS[function](a.astype(np.float64), b.astype(np.float64)) for b in B] for a in A]
    np.testing.assert_allclose(matrix, expected, rtol=1e-5, atol=1e-6)
    assert (matrix.shape, matrix.dtype) == ((4, 3), np.float32)
    np.testing.assert_array_equal(A, before[0])
    np.testing.assert_array_equal(B, before[1])
    np.testing.assert_allclose(similarity_matrix(A[0], B[1].tolist(), function=function), matrix[:1, 1:2], rtol=1e-5)


def test_near_duplicates_keep_their_distance():
    a = np.full((1, 6), 1000, np.float32)
    b = a + np.float32(0.25)
    assert similarity_matrix(a, b, function="manhattan")[0, 0] == pytest.approx(-1.5)
    assert similarity_matrix(a, b, function="euclidean")[0, 0] == pytest.approx(-0.25 * 6**0.5)


def test_shapes_that_do_not_fit():
    with pytest.raises(UsageError, match="a has 6 dimensions and b has 5"):
        similarity_matrix(A, B[:, :5], function="dot")
    with pytest.raises(UsageError, match=r"b has the shape \(1, 1, 6\)"):
        similarity_matrix(A, B[None, :1], function="dot")


def test_normalize_rows_in_place_and_zeros_stay():
    vectors = np.array([[3, 4], [0, 0], [1e-20, 0]], np.float32)
    normalize_rows(vectors)
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0, 0], [1e-8, 0]], rtol=1e-6)


@pytest.mark.slow  # importing torch
@pytest.mark.reference
@pytest.mark.parametrize("function", FORMULAS)
def test_the_same_as_sentence_transformers(function):
    from sentence_transformers.util import dot_score, euclidean_sim, manhattan_sim, pytorch_cos_sim

    theirs = {"cosine": pytorch_cos_sim, "dot": dot_score, "euclidean": euclidean_sim, "manhattan": manhattan_sim}
    np.testing.assert_allclose(
        similarity_matrix(A, B, function=function), theirs[function](A, B).numpy(), rtol=1e-5, atol=1e-6
    )
