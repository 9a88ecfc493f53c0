"""A run on a thread of ONNX Runtime's own, for a caller who waits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stonnx.runtime.feeds import Feeds

__all__ = ["run_on_its_thread"]

_Asked = tuple[Future[list[NDArray[np.float32]]], Feeds]


def run_on_its_thread(
    session: Any, feeds: Feeds, outputs: Sequence[str], run_options: Any
) -> list[NDArray[np.float32]]:
    """Run a session on one of the threads that it started; the calling thread only waits.

    There the loops of a run find no helpers while the other threads run something themselves, and need none. So as many
    runs at a time as the session has threads, one of them with ``session.run``, never take more threads than that.

    Args:
        session: An ``InferenceSession`` of at least two threads.
        feeds: int64 arrays by input name.
        outputs: Names of outputs of the graph.
        run_options: ``RunOptions``, kept alive by the caller.

    Raises:
        RuntimeError: ONNX Runtime failed (or an exception of its own, where it looks at the feeds at once).
    """
    done: Future[list[NDArray[np.float32]]] = Future()
    arrays = dict(feeds)
    # The feeds' memory is read, not copied: whoever is called back holds the arrays, and so they live as long as that.
    session.run_async(list(outputs), arrays, _tell, (done, arrays), run_options)
    try:
        return done.result()
    finally:
        wait([done])  # an interrupted caller may close the session


def _tell(results: list[NDArray[np.float32]], asked: _Asked, error: str) -> None:
    done, _ = asked
    if error:
        done.set_exception(RuntimeError(error))
    else:
        done.set_result(results)
