"""A run on a thread of ONNX Runtime's own, for a caller who waits."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stonnx.runtime.feeds import Feeds
from stonnx.runtime.forks import keep_for_good

__all__ = ["run_on_its_thread"]

_SECONDS_BETWEEN_LOOKS = 0.001


class _Asked:
    """What a run reads, and where it leaves what it gave; ONNX Runtime's thread lets go of it last of all."""

    def __init__(self, feeds: Feeds) -> None:
        self.arrays = dict(feeds)  # their memory is read, not copied: so they live as long as the run
        self.answer: list[tuple[list[NDArray[np.float32]], str]] = []


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
    asked = _Asked(feeds)
    answer = asked.answer
    # Who lets go of a session last destroys it and ends its threads. That must not be one of these threads, nor happen
    # while one of them waits for the interpreter lock. So the caller goes on when ``asked`` is gone: ONNX Runtime lets
    # go of it, and then of the session, after its last line of Python, and ``put``, which is C, keeps the lock.
    gone: SimpleQueue[object] = SimpleQueue()
    still_there = weakref.ref(asked, gone.put)
    session.run_async(list(outputs), asked.arrays, _tell, asked, run_options)
    del asked
    try:
        gone.get()
    finally:
        _wait_until_gone(still_there, session)  # an interrupted caller may close the session
    results, error = answer[0]
    if error:
        raise RuntimeError(error)
    return results


def _tell(results: list[NDArray[np.float32]], asked: _Asked, error: str) -> None:
    asked.answer.append((results, error))


def _wait_until_gone(still_there: weakref.ref[_Asked], session: object) -> None:
    try:
        while still_there() is not None:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    except BaseException:  # interrupted once more
        keep_for_good(session)
        raise
