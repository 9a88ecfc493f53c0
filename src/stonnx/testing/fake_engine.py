"""An engine without a model, for tests of everything around engines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stonnx.errors import RunError
from stonnx.runtime.feeds import Feeds

__all__ = ["FakeEngine"]


class FakeEngine:
    """Gives each row a vector that depends on its tokens and their places, and on nothing else.

    A row's vector is the mean of its tokens' vectors; padding and the prompt's tokens are left out,
    as a real graph does. So rows that were mixed up, or padding that leaks in, show. Token types change the vectors.
    The output ``scores`` is the sigmoid of this vector, any other output is the vector itself.

    Args:
        dimension: Components of a vector.
        error: Raised by every run, to test what callers do; None for none.
        shares_threads: What it says of itself: see ``Engine``.

    Attributes:
        runs: The feeds of every run, in order.
        closed: Whether ``close`` was called.
    """

    name = "fake"
    version = "1"
    lost_in_fork = False

    def __init__(self, dimension: int = 8, *, error: Exception | None = None, shares_threads: bool = False) -> None:
        self.shares_threads = shares_threads
        self.dimension = dimension
        self.error = error
        self.runs: list[Feeds] = []
        self.closed = False

    def run(self, feeds: Feeds, outputs: Sequence[str]) -> tuple[NDArray[np.float32], ...]:
        """Arrays of shape (rows, dimension), float32, one an output.

        Raises:
            RunError: The engine is closed.
            Exception: ``error``, if one was given.
        """
        if self.closed:
            raise RunError("The engine is closed.")
        if self.error is not None:
            raise self.error
        self.runs.append(feeds)
        vectors = _vectors(feeds, self.dimension)
        probabilities = (1 / (1 + np.exp(-vectors))).astype(np.float32)
        return tuple(probabilities if name == "scores" else vectors for name in outputs)

    def close(self) -> None:
        """Further runs are an error."""
        self.closed = True


def _vectors(feeds: Feeds, dimension: int) -> NDArray[np.float32]:
    ids = feeds["input_ids"]
    real = feeds.get("attention_mask", np.ones_like(ids))
    places = np.cumsum(real, axis=1) - 1  # of a token in its row, wherever the padding is
    prompts = feeds.get("prompt_lengths", feeds.get("prompt_length", np.zeros(1, dtype=np.int64)))
    weights = (real * (places >= prompts.reshape(-1, 1)))[:, :, None]
    kinds = ids + 1000 * feeds.get("token_type_ids", np.zeros_like(ids))
    waves = np.arange(1, dimension + 1)[None, None, :]
    tokens = np.sin((kinds[:, :, None] + 1) * 0.7 * waves + 0.3 * places[:, :, None])  # (rows, tokens, dimension)
    means = (tokens * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
    return np.asarray(means, dtype=np.float32)
