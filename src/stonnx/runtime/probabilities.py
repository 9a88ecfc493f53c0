"""What a reranker's logits say as probabilities: one definition for all that compares them.

>>> import numpy as np
>>> from stonnx.runtime.probabilities import probabilities
>>> probabilities(np.zeros((1, 2), np.float32), "Identity").tolist()
[[0.5, 0.5]]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["are_independent", "probabilities"]


def probabilities(logits: NDArray[np.float32], activation: str) -> NDArray[np.float64]:
    """What logits say as probabilities, whatever the model's own scores look like, float64, shape (pairs, labels).

    One label: its sigmoid. Several that exclude each other: their softmax. Several whose activation is ``Sigmoid``
    are judged one by one, so the sigmoid of each.

    Args:
        logits: float32, shape (pairs, labels).
        activation: The model's, a class name of ``torch.nn``.
    """
    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # what is not a number stays that
        if are_independent(logits, activation):
            sigmoid: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -wide))
            return sigmoid
        softmax: NDArray[np.float64] = np.exp(wide - np.logaddexp.reduce(wide, axis=1, keepdims=True))
        return softmax


def are_independent(logits: NDArray[np.float32], activation: str) -> bool:
    """Whether each label has a probability of its own; else those of a pair sum to 1.

    Args:
        logits: float32, shape (pairs, labels).
        activation: The model's, a class name of ``torch.nn``.
    """
    return logits.shape[1] == 1 or activation == "Sigmoid"
