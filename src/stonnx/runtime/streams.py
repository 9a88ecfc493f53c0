"""How many engine runs go at once, with how many threads each, and the workers that carry them out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from stonnx.artifact.thread_limit import check_threads
from stonnx.errors import RunError, UsageError
from stonnx.runtime.batching import DEFAULT_BATCH_TOKENS
from stonnx.runtime.cores import usable_cores
from stonnx.runtime.forks import tell_after_fork
from stonnx.runtime.inputs import positive_int
from stonnx.runtime.turns import Turns

__all__ = ["RunSettings", "Workers", "one_ahead", "run_settings"]

_Item = TypeVar("_Item")
_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How the batches of an encoder are run.

    Attributes:
        threads: Threads of all engine runs together.
        streams: Engine runs at a time, at most ``threads``.
        batch_tokens: Rows times longest row of one engine run.
    """

    threads: int
    streams: int = 1
    batch_tokens: int = DEFAULT_BATCH_TOKENS

    @property
    def threads_per_run(self) -> int:
        """Threads of one engine run; where ``streams`` does not divide ``threads``, the rest stays unused."""
        return self.threads // self.streams


def run_settings(
    *, threads: int | None, streams: int | None, batch_tokens: int | None, tuned: RunSettings | None
) -> RunSettings:
    """What the caller asked for, completed by what was tuned, and by static defaults after that.

    Threads and streams were tuned as a pair, so a caller who names one of them gets the static default of the other.

    Args:
        threads: Threads in all; None for the tuned number, or the cores that this process may use.
        streams: Runs at a time; None for the tuned number, or one.
        batch_tokens: Rows times longest row; None for the tuned number, or a default that suits CPUs.
        tuned: What ``stonnx tune`` found on this machine; None for nothing.

    Raises:
        UsageError: A value is not a whole number of at least 1, there are many more threads than cores, or more
            streams than threads.
    """
    if tuned is not None and threads is None and streams is None:
        count, parallel = tuned.threads, tuned.streams
    else:
        cores = usable_cores()
        count = cores if threads is None else check_threads(positive_int(threads, name="threads"), cores=cores)
        parallel = 1 if streams is None else positive_int(streams, name="streams")
    if parallel > count:
        raise UsageError(
            f"streams is {parallel}, and threads is {count}: a stream needs a thread of its own.",
            hint=f"Pass streams={count} or less, or threads={parallel} or more.",
            cli_hint=f"--threads {parallel} or more gives each stream one.",
        )
    default = DEFAULT_BATCH_TOKENS if tuned is None else tuned.batch_tokens
    budget = default if batch_tokens is None else positive_int(batch_tokens, name="batch_tokens")
    return RunSettings(threads=count, streams=parallel, batch_tokens=budget)


class Workers:
    """Runs jobs, a fixed number at a time, whoever asks. Safe to call from several threads, and after a fork.

    One worker is the calling thread itself: nothing is started, and nothing is handed over; callers that come
    together take turns, job by job. More are threads that start with the first jobs and end with ``close`` (or with
    the object).

    Args:
        count: Jobs at a time, over all callers together.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._closed = False
        self._turns = Turns()
        self._pool = self._new_pool()
        tell_after_fork(self)

    def run(self, function: Callable[[_Job], _Result], jobs: Iterator[_Job]) -> Generator[_Result]:
        """Results of ``function`` for every job, as they are done, in any order.

        Jobs are drawn from the iterator, in this thread, when there is room for them: one waits per worker.
        What a job raises is raised here as it is; jobs that have not begun are then given up, and those that
        run are waited for. The same happens when the caller stops early.

        Raises:
            UsageError: ``close`` was called.
            RunError: No thread can be started.
        """
        if self._count == 1:
            for job in jobs:
                with self._turns:  # not while the caller looks at the result
                    result = function(job)
                yield result
            return
        pool = self._pool
        running: set[Future[_Result]] = set()
        try:
            for job in jobs:
                running.add(self._submit(pool, function, job))
                # One job waits behind each that runs: a worker that ends finds the next one without asking us.
                if len(running) >= 2 * self._count:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from _results(done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from _results(done)
        finally:
            for future in running:
                future.cancel()
            wait(running)  # their batches and the engine stay in use until then

    def close(self) -> None:
        """Let the threads end once their jobs are done; closing twice is harmless."""
        self._closed = True
        self._pool.shutdown(wait=False)

    def after_fork(self) -> None:
        """In a forked child: the pool's threads are not there, and who had the turn is not there either."""
        self._turns = Turns()
        if not self._closed:
            self._pool = self._new_pool()

    def _submit(self, pool: ThreadPoolExecutor, function: Callable[[_Job], _Result], job: _Job) -> Future[_Result]:
        try:
            return pool.submit(function, job)
        except RuntimeError as exc:
            if self._closed:  # by another thread, in the meantime
                raise UsageError("This encoder is closed.", hint="Load it again with Encoder.load.") from exc
            raise RunError(
                f"No thread can be started for a stream: {exc}.",
                hint="Load with fewer streams.",
                cli_hint="Allow more threads, or name their number: with --threads N there is one stream.",
            ) from exc

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._count, thread_name_prefix="stonnx-stream")


def _results(done: set[Future[_Result]]) -> Iterator[_Result]:
    for future in done:
        yield future.result()


def one_ahead(items: Iterator[_Item]) -> Generator[_Item]:
    """The items of an iterator; a thread makes the next one while the current one is in use.

    What the iterator raises is raised here, in its place. No more than one item waits.

    Raises:
        RunError: No thread can be started.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="stonnx-ahead")
    try:
        try:
            future = pool.submit(_next, items)
        except RuntimeError as exc:
            raise RunError(
                f"No thread can be started to tokenize: {exc}.", hint="Encode fewer texts at a time."
            ) from exc
        while (item := future.result()) is not None:
            future = pool.submit(_next, items)
            yield item[0]
    finally:
        pool.shutdown(wait=False)  # whoever stops early need not wait for an item that nobody wants


def _next(items: Iterator[_Item]) -> tuple[_Item] | None:
    for item in items:
        return (item,)
    return None
