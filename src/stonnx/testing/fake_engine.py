"""An engine without a model, for tests of everything around engines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stonnx.errors import RunError
from stonnx.runtime.engines.base import Batch

__all__ = ["FakeEngine"]


class FakeEngine:
    """Gives each row a vector that depends on its tokens and their places, and on nothing else.

    A row's vector is the mean of its tokens' vectors; padding and the prompt's tokens are left out,
    as a real graph does. So rows that were mixed up, or padding that leaks in, show.

    Args:
        dimension: Components of a vector.
        error: Raised by every run, to test what callers do; None for none.

    Attributes:
        batches: The batches that were run, in order.
        closed: Whether ``close`` was called.
    """

    name = "fake"
    version = "1"
    lost_in_fork = False

    def __init__(self, dimension: int = 8, *, error: Exception | None = None) -> None:
        self.dimension = dimension
        self.error = error
        self.batches: list[Batch] = []
        self.closed = False

    def run(self, batch: Batch) -> NDArray[np.float32]:
        """Vectors of a batch, float32, shape (rows, dimension).

        Raises:
            RunError: The engine is closed.
            Exception: ``error``, if one was given.
        """
        if self.closed:
            raise RunError("The engine is closed.")
        if self.error is not None:
            raise self.error
        self.batches.append(batch)
        ids = batch.input_ids
        mask = np.ones_like(ids) if batch.attention_mask is None else batch.attention_mask.copy()
        mask[:, : batch.prompt_length] = 0
        places = np.arange(ids.shape[1])[None, :, None]
        waves = np.arange(1, self.dimension + 1)[None, None, :]
        tokens = np.sin((ids[:, :, None] + 1) * 0.7 * waves + 0.3 * places)  # (rows, tokens, dimension)
        weights = mask[:, :, None]
        means = (tokens * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
        return np.asarray(means, dtype=np.float32)

    def close(self) -> None:
        """Further runs are an error."""
        self.closed = True
