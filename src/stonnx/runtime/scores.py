"""Logits to scores, as PyTorch computes them.

For example::

    check_activation("Sigmoid")
    sigmoid(logits)          # float32, of the same shape
    softmax(logits)          # rows that sum to 1
"""

from __future__ import annotations

from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from stonnx.errors import UsageError

__all__ = ["ActivationName", "check_activation", "sigmoid", "softmax"]

ActivationName = Literal["Identity", "Sigmoid"]
"""The activations that a caller can ask for, by their names in ``torch.nn``."""


def check_activation(name: object) -> ActivationName:
    """The activation of that name.

    Raises:
        UsageError: There is none.
    """
    known = get_args(ActivationName)
    if not isinstance(name, str) or name not in known:
        meant = _meant(name)
        raise UsageError(
            f"activation_fn is {name!r:.60}; expected {' or '.join(map(repr, known))}.",
            hint=f"Pass its name, {meant!r}."
            if meant
            else "Leave it out for the model's own, or take 'Identity' and compute what you need from the logits.",
        )
    return cast("ActivationName", name)


def _meant(value: object) -> str | None:
    """The name of an activation that was given as CrossEncoder takes it: a module, its class, or a function."""
    name = value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)
    return next((known for known in get_args(ActivationName) if known.lower() == str(name).lower()), None)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """``1 / (1 + exp(-x))``, for logits of any size.

    Args:
        logits: float32, any shape.
    """
    scores: NDArray[np.float32] = np.exp(-np.logaddexp(np.float32(0), -logits))
    return scores


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """``exp(x) / sum(exp(x))`` along the last axis.

    Args:
        scores: float32, shape (rows, labels).
    """
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return shares
