"""The seam to an inference engine: a batch in, sentence embeddings out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["FORKED", "Batch", "Engine"]

FORKED = "The engine was opened before this process was forked, and its threads stayed behind: open it again."
"""What an engine says that is lost in a fork."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Token rows of one run.

    Attributes:
        input_ids: int64, shape (rows, tokens); short rows are padded at the end.
        attention_mask: int64, shape (rows, tokens), 1 for a token; None when no row is padded.
        prompt_length: Leading tokens that pooling leaves out; 0 for none.
    """

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64] | None = None
    prompt_length: int = 0


class Engine(Protocol):
    """Runs one graph. Safe to call from several threads.

    Attributes:
        name: Name of the engine, as variants spell it.
        version: Version of its package.
        lost_in_fork: Whether this process is a forked child that the engine's threads did not come to; its runs are
            errors then, and closing it does nothing.
    """

    name: str
    version: str
    lost_in_fork: bool

    def run(self, batch: Batch) -> NDArray[np.float32]:
        """Sentence embeddings of a batch, float32, shape (rows, dimension).

        Raises:
            RunError: The engine failed.
        """
        ...

    def close(self) -> None:
        """Release the session; further runs are an error."""
        ...
