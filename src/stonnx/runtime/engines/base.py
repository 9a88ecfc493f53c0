"""The seam to an inference engine: feeds in, the outputs that were asked for out.

For example::

    engine = open_engine(variant, artifact, threads=2)
    (vectors,) = engine.run(feeds, ["sentence_embedding"])
    engine.close()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stonnx.errors import RunError
from stonnx.runtime.feeds import Feeds, feeds_shape

__all__ = ["FORKED", "Engine", "run_failure"]

FORKED = "The engine was opened before this process was forked, and its threads stayed behind: open it again."
"""What an engine says that is lost in a fork."""


class Engine(Protocol):
    """Runs one graph. Safe to call from several threads.

    Attributes:
        name: Name of the engine, as variants spell it.
        version: Version of its package.
        lost_in_fork: Whether this process is a forked child that the engine's threads did not come to; its runs are
            errors then, and closing it does nothing.
        shares_threads: Whether runs that come together share the threads of one: a run alone has all of them, and as
            many runs as there are threads have one each. Otherwise every run has as many as the engine was opened for.
    """

    name: str
    version: str
    lost_in_fork: bool
    shares_threads: bool

    def run(self, feeds: Feeds, outputs: Sequence[str]) -> tuple[NDArray[np.float32], ...]:
        """Run the graph once.

        Args:
            feeds: int64 arrays by input name, as ``stonnx.runtime.feeds.make_feeds`` gives them.
            outputs: Names of outputs of the graph.

        Returns:
            float32 arrays in the order of ``outputs``; the first axis of each is that of the rows.

        Raises:
            RunError: The engine failed.
        """
        ...

    def close(self) -> None:
        """Release the session; further runs are an error."""
        ...


def run_failure(engine: str, feeds: Feeds, reason: str) -> RunError:
    """The error to raise where an engine failed in the middle of a run.

    Args:
        engine: Its name and version, for people.
        feeds: What it was fed.
        reason: What it says, one line.
    """
    rows, tokens = feeds_shape(feeds)
    return RunError(
        f"{engine} failed on a batch of {rows} x {tokens} tokens: {reason}",
        hint="If memory is short, lower batch_tokens; otherwise run `stonnx verify` on the artifact.",
        cli_hint="If memory is short, name fewer --batch-tokens; otherwise run `stonnx verify`.",
    )
