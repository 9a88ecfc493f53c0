"""How many engine runs go at once, with how many threads each, and the workers that carry them out.

For example::

    settings = run_settings(threads=4, streams=2, batch_tokens=None, tuned=None)
    workers = Workers(settings.streams, owner="Encoder")
    for result in workers.run(function, jobs): ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from stonnx.artifact.thread_limit import check_threads
from stonnx.errors import RunError, UsageError
from stonnx.runtime.batching import DEFAULT_BATCH_TOKENS
from stonnx.runtime.cores import usable_cores
from stonnx.runtime.forks import tell_after_fork
from stonnx.runtime.inputs import positive_int
from stonnx.runtime.turns import Turns

__all__ = ["RunSettings", "Workers", "closed_error", "map_ahead", "run_settings"]

_Item = TypeVar("_Item")
_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How the batches of a model are run.

    Attributes:
        threads: Threads of all engine runs together.
        streams: Engine runs at a time, at most ``threads``.
        batch_tokens: Rows times longest row of one engine run.
        by_call: Each call is run as is quicker for it: one run with all threads, or up to ``streams`` runs that
            share them.
    """

    threads: int
    streams: int = 1
    batch_tokens: int = DEFAULT_BATCH_TOKENS
    by_call: bool = False

    @property
    def threads_per_run(self) -> int:
        """Threads of one engine run; where ``streams`` does not divide ``threads``, the rest stays unused.

        With ``by_call`` the most that a run can have.
        """
        return self.threads if self.by_call else self.threads // self.streams

    @property
    def runs_text(self) -> str:
        """Runs at a time and threads of each, for people, such as ``"2 x 1 threads"``."""
        return f"{self.threads} threads by call" if self.by_call else f"{self.streams} x {self.threads_per_run} threads"


def run_settings(
    *, threads: int | None, streams: int | None, batch_tokens: int | None, tuned: RunSettings | None
) -> RunSettings:
    """What the caller asked for, completed by what was tuned, and by static defaults after that.

    Threads and streams were tuned as a pair, so a caller who names one of them gets the static default of the other.

    Args:
        threads: Threads in all; None for the tuned number, or the cores that this process may use.
        streams: Runs at a time; None for the tuned number, or what fits each call.
        batch_tokens: Rows times longest row; None for the tuned number, or a default that suits CPUs.
        tuned: What ``stonnx tune`` found on this machine; None for nothing.

    Raises:
        UsageError: A value is not a whole number of at least 1, there are many more threads than cores, or more
            streams than threads.
    """
    if tuned is not None and threads is None and streams is None:
        count, parallel, by_call = tuned.threads, tuned.streams, tuned.by_call
    else:
        cores = usable_cores()
        count = cores if threads is None else check_threads(positive_int(threads, name="threads"), cores=cores)
        by_call = streams is None and count > 1
        parallel = count if streams is None else positive_int(streams, name="streams")
    if parallel > count:
        raise UsageError(
            f"streams is {parallel}, and threads is {count}: a stream needs a thread of its own.",
            hint=f"Pass streams={count} or less, or threads={parallel} or more.",
            cli_hint=f"--threads {parallel} or more gives each stream one.",
        )
    default = DEFAULT_BATCH_TOKENS if tuned is None else tuned.batch_tokens
    budget = default if batch_tokens is None else positive_int(batch_tokens, name="batch_tokens")
    return RunSettings(threads=count, streams=parallel, batch_tokens=budget, by_call=by_call)


def closed_error(owner: str) -> UsageError:
    """The error to raise where an object is used after it was closed.

    Args:
        owner: Name of its class, which has a method ``load``.
    """
    return UsageError(f"This {owner.lower()} is closed.", hint=f"Load it again with {owner}.load.")


class Workers:
    """Runs jobs, a fixed number at a time, whoever asks. Safe to call from several threads, and after a fork.

    One worker is the calling thread itself: nothing is started, and nothing is handed over; callers that come
    together take turns, job by job. More are threads that start with the first jobs and end with ``close`` (or with
    the object); ``run_here`` lets the calling thread take the place of one of them.

    Args:
        count: Jobs at a time, over all callers together.
        owner: Name of the class whose jobs these are, for what is said once they are closed.
    """

    def __init__(self, count: int, *, owner: str) -> None:
        self._owner = owner
        self._count = count
        self._closed = False
        self._make_turns()
        self._pool = self._new_pool()
        tell_after_fork(self)

    def run_here(self, function: Callable[[_Job], _Result], jobs: Iterator[_Job], *, alone: bool) -> Generator[_Result]:
        """As ``run``, one job after the other in the calling thread: nothing is handed over.

        Args:
            function: What to do with a job.
            jobs: The jobs.
            alone: Callers who say so take turns, job by job. A job of ``run`` may go on beside one of theirs.
        """
        one_by_one = self._one_by_one if alone else nullcontext()
        for job in jobs:
            with one_by_one, self._turns:  # not while the caller looks at the result
                result = function(job)
            yield result

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
            yield from self.run_here(function, jobs, alone=False)
            return
        pool = self._pool
        running: set[Future[_Result]] = set()
        try:
            for job in jobs:
                running.add(self._submit(pool, function, job))
                # For each job that runs one waits: a worker that is done finds the next one without asking us.
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
        self._make_turns()
        if not self._closed:
            self._pool = self._new_pool()

    def _submit(self, pool: ThreadPoolExecutor, function: Callable[[_Job], _Result], job: _Job) -> Future[_Result]:
        try:
            return pool.submit(self._in_turn, function, job)
        except RuntimeError as exc:
            if self._closed:  # by another thread, in the meantime
                raise closed_error(self._owner) from exc
            raise RunError(
                f"No thread can be started for a stream: {exc}.",
                hint="Load with streams=1, or raise the limit (ulimit -u, the container's pids limit).",
                cli_hint="Raise the limit (ulimit -u, the container's pids limit), or do with one: --threads 1.",
            ) from exc

    def _in_turn(self, function: Callable[[_Job], _Result], job: _Job) -> _Result:
        with self._turns:
            return function(job)

    def _make_turns(self) -> None:
        self._turns = Turns(self._count)
        self._one_by_one = Turns()

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._count, thread_name_prefix="stonnx-stream")


def _results(done: set[Future[_Result]]) -> Iterator[_Result]:
    for future in done:
        yield future.result()


def map_ahead(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Generator[_Result]:
    """Results of ``function`` in order; a thread makes the next one while the current one is in use.

    Items are drawn in the calling thread, one more than there are results; for a single item no thread is started.
    What the function raises is raised here, in its place; what drawing an item raises, at once.

    Raises:
        RunError: No thread can be started.
    """
    drawn = iter(items)
    first = deque(islice(drawn, 2))
    if len(first) < 2:
        yield from map(function, first)
        return
    pool = ThreadPoolExecutor(1, thread_name_prefix="stonnx-ahead")
    try:
        # Items are let go as soon as there is a result for them.
        waiting = deque(_ahead(pool, function, first.popleft()) for _ in range(2))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(_ahead(pool, function, item) for item in islice(drawn, 1))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # whoever stops early need not wait for what nobody wants


def _ahead(pool: ThreadPoolExecutor, function: Callable[[_Item], _Result], item: _Item) -> Future[_Result]:
    try:
        return pool.submit(function, item)
    except RuntimeError as exc:
        raise RunError(f"No thread can be started to tokenize: {exc}.", hint="Encode fewer texts at a time.") from exc
