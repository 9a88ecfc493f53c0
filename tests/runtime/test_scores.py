from __future__ import annotations

import numpy as np
import pytest

from stonnx.errors import UsageError
from stonnx.runtime.scores import check_activation, sigmoid, softmax

LOGITS = np.array([[-200, -30, -1e-3, 0, 1, 5, 40, 200], [0, 0, 0, 0, 0, 0, 0, 300]], dtype=np.float32)


def test_sigmoid_of_any_size():
    scores = sigmoid(LOGITS)
    assert scores.dtype == np.float32
    exact = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    np.testing.assert_allclose(scores, exact, rtol=1e-5, atol=1e-44)


def test_softmax_of_any_size():
    shares = softmax(LOGITS)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    exact = np.exp(LOGITS.astype(np.float64) - 300)
    np.testing.assert_allclose(shares, exact / exact.sum(axis=1, keepdims=True), atol=1e-7)


@pytest.mark.reference
def test_they_are_those_of_torch():
    torch = pytest.importorskip("torch")
    for given in (torch.nn.Sigmoid(), torch.nn.Sigmoid, torch.sigmoid):  # as CrossEncoder takes them
        with pytest.raises(UsageError) as caught:
            check_activation(given)
        assert caught.value.hint == "Pass its name, 'Sigmoid'."
    logits = torch.from_numpy(LOGITS)
    np.testing.assert_allclose(sigmoid(LOGITS), torch.sigmoid(logits).numpy(), rtol=1e-5, atol=1e-38)
    np.testing.assert_allclose(softmax(LOGITS), torch.softmax(logits, dim=1).numpy(), atol=1e-7)


@pytest.mark.parametrize("bad", ["sigmoid", "Tanh", None, 5, []])
def test_an_activation_that_there_is_not(bad):
    with pytest.raises(UsageError, match="expected 'Identity' or 'Sigmoid'"):
        check_activation(bad)
