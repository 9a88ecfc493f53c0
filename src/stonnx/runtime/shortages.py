"""Memory or threads that the system would not give: told apart from a file that is damaged."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator

from stonnx.errors import RunError, StonnxError

__all__ = ["check_threads_start", "naming_shortages", "shortage"]

# What Python, ONNX Runtime, OpenVINO, the dynamic linker and the C library say.
_MEMORY = re.compile(
    r"bad_alloc|failed to allocate|can't alloc|cannot allocate memory|failed to map segment", re.IGNORECASE
)
_THREADS = re.compile(r"can't start new thread|resource temporarily unavailable", re.IGNORECASE)


def shortage(error: BaseException) -> RunError | None:
    """The error to raise where an engine or a file could not be opened for want of memory or threads.

    Args:
        error: What was raised; its causes are looked at, too.

    Returns:
        None where it is about something else.
    """
    for link in _chain(error):
        if isinstance(link, MemoryError) or _MEMORY.search(str(link)):
            return RunError(
                "There is not enough memory to load the model.",
                hint="Free memory, or raise the limit of the process (ulimit -v, the container's).",
            )
        if _THREADS.search(str(link)):
            return _no_threads()
    return None


@contextlib.contextmanager
def naming_shortages() -> Iterator[None]:
    """Open an engine or a file inside this context: a shortage is told as what it is.

    Raises:
        RunError: The system gave too little memory, or too few threads.
    """
    try:
        yield
    except (StonnxError, MemoryError, RuntimeError) as exc:  # RuntimeError: Python's own threads
        short = shortage(exc)
        if short is None:
            raise
        raise short from exc


def check_threads_start(count: int) -> None:
    """Prove that an engine can start its threads: ONNX Runtime waits for ever for one that cannot be started.

    Args:
        count: Threads of one run.

    Raises:
        RunError: The system gives no more threads.
    """
    if count == 1:  # the calling thread itself
        return
    release = threading.Event()
    # Twice as many: these are not quite gone when the engine starts its own.
    threads = [threading.Thread(target=release.wait, name="stonnx-probe") for _ in range(2 * count)]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError as exc:
        raise _no_threads() from exc
    finally:
        release.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def _no_threads() -> RunError:
    return RunError(
        "The system gives this process no more threads.",
        hint="Load with fewer threads, or raise the limit (ulimit -u, the container's pids limit).",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
