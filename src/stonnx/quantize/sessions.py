"""Runs graphs that are still being made on token rows: a batch on each core that the process may use.

One thread a run, and as many runs at a time as there are cores, because nobody waits at the end of an operator then::

    with Runner(folder) as runner:
        session = runner.open(author_embeddings(blueprint, OrtCpu(), weights))
        batches = make_batches(rows)
        hidden = runner.run(session, batches, names=["next_hidden_state"])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray

from stonnx._extras import require
from stonnx.errors import RunError
from stonnx.graph.sections import HIDDEN_STATE
from stonnx.runtime.batching import plan_batches
from stonnx.runtime.cores import usable_cores
from stonnx.runtime.feeds import make_feeds
from stonnx.runtime.shortages import check_threads_start
from stonnx.runtime.token_rows import TokenRows

__all__ = ["Batch", "Hidden", "Runner", "Session", "firsts", "gather_rows", "make_batches", "output_rows"]

_BATCH_TOKENS = 256  # calibration asks for the inputs of all projections of a layer at once: little at a time
_SECTION = "section.onnx"

Hidden = Sequence[NDArray[np.float32]]
"""Hidden states of batches, one of shape (rows, tokens, width) for each."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of one length that run together.

    Attributes:
        rows: All token rows.
        index: The row numbers of these, int64, shape (rows of the batch,).
    """

    rows: TokenRows
    index: NDArray[np.int64]

    @property
    def tokens(self) -> int:
        """Tokens of all its rows."""
        return int(self.rows.lengths[self.index].sum())


def make_batches(rows: TokenRows) -> list[Batch]:
    """Batches of all rows, the longest first, whatever the machine."""
    plan = plan_batches(rows.lengths, batch_tokens=_BATCH_TOKENS, equal_lengths=True)
    return [Batch(rows=rows, index=index) for index in plan]


@dataclass(frozen=True, kw_only=True)
class Session:
    """An open graph.

    Attributes:
        handle: ONNX Runtime's session; several threads may run it at a time.
        inputs: Names of the token inputs.
    """

    handle: Any
    inputs: tuple[str, ...]

    @classmethod
    def of(cls, handle: Any) -> Self:
        """A session of ONNX Runtime's."""
        names = (given.name for given in handle.get_inputs())
        return cls(handle=handle, inputs=tuple(name for name in names if name != HIDDEN_STATE))


class Runner:
    """Opens graphs, and runs them on all cores; use with ``with``.

    Args:
        folder: Where the weights of the graphs are; graphs come and go there.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        RunError: The system gives too few threads.
    """

    def __init__(self, folder: Path) -> None:
        self._ort = require("onnxruntime", extra="cpu", purpose="quantise a model")
        self._folder = folder
        streams = usable_cores()
        check_threads_start(streams)
        self._pool = ThreadPoolExecutor(streams, thread_name_prefix="stonnx-quantize")

    def __enter__(self) -> Self:
        """Nothing to prepare: threads start with the first run."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """End the threads; what has not begun by then never does."""
        self._pool.shutdown(cancel_futures=True)

    def open(self, model: onnx.ModelProto) -> Session:
        """Open a graph whose weights lie in the folder, and are flushed.

        Raises:
            RunError: ONNX Runtime refuses it.
        """
        path = self._folder / _SECTION
        try:
            onnx.save(model, path)
            return self.open_file(path)
        finally:
            path.unlink(missing_ok=True)

    def open_file(self, path: Path) -> Session:
        """Open a graph that is written.

        Args:
            path: The ONNX file; its external data lies beside it.

        Raises:
            RunError: ONNX Runtime refuses it.
        """
        ort = self._ort
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = False  # many sessions are open at a time, and each would keep its largest run
        options.log_severity_level = 3
        with self._translated():
            return Session.of(
                ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
            )

    def run(
        self, session: Session, batches: Sequence[Batch], *, names: Sequence[str], hidden: Hidden | None = None
    ) -> list[list[NDArray[np.float32]]]:
        """Run a graph on batches.

        Args:
            session: The graph.
            batches: What it runs on.
            names: The outputs to fetch.
            hidden: What the section before it gave for the same batches; None where the graph begins with tokens.

        Returns:
            The outputs of each batch, in the order of ``names``.

        Raises:
            RunError: ONNX Runtime failed.
        """

        def run(batch: Batch, x: NDArray[np.float32] | None) -> list[NDArray[np.float32]]:
            feeds: dict[str, NDArray[Any]] = dict(make_feeds(batch.rows, batch.index, inputs=session.inputs, pad_id=0))
            if x is not None:
                feeds[HIDDEN_STATE] = x
            outputs: list[NDArray[np.float32]] = session.handle.run(list(names), feeds)
            return outputs

        given = [None] * len(batches) if hidden is None else hidden
        with self._translated():
            return list(self._pool.map(run, batches, given))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """ONNX Runtime's errors as ours."""
        foreign: tuple[type[Exception], ...] = (RuntimeError, ValueError, *_own_errors())
        try:
            yield
        except foreign as exc:
            raise RunError(
                f"ONNX Runtime {self._ort.__version__} failed while the model was quantised: "
                f"{str(exc).splitlines()[0]}",
                hint="The model works without int8 (int8=False). Please report it with the model's name.",
                cli_hint="The model works without int8 (--no-int8). Please report it with the model's name.",
            ) from exc


def gather_rows(batches: Sequence[Batch], found: Iterable[NDArray[np.float32]], *, width: int) -> NDArray[np.float32]:
    """Results of batches in the order of their rows, float32, shape (rows, width).

    Args:
        batches: All batches of some token rows.
        found: A result for each, float32, shape (rows of the batch, width).
        width: Length of the last axis.
    """
    results = np.empty((sum(len(batch.index) for batch in batches), width), dtype=np.float32)
    for batch, part in zip(batches, found, strict=True):
        results[batch.index] = part
    return results


def output_rows(runner: Runner, session: Session, rows: TokenRows, *, output: str, width: int) -> NDArray[np.float32]:
    """One output of a whole graph for token rows, float32, shape (rows, width).

    Args:
        runner: Runs it.
        session: The graph.
        rows: Token rows.
        output: Name of the output, such as ``sentence_embedding`` or ``logits``.
        width: Length of its last axis.

    Raises:
        RunError: ONNX Runtime failed.
    """
    batches = make_batches(rows)
    return gather_rows(batches, firsts(runner.run(session, batches, names=[output])), width=width)


def firsts(outputs: Iterable[Sequence[NDArray[np.float32]]]) -> list[NDArray[np.float32]]:
    """The first output of each batch, where one was fetched."""
    return [found[0] for found in outputs]


def _own_errors() -> tuple[type[Exception], ...]:
    state = require("onnxruntime.capi.onnxruntime_pybind11_state", extra="cpu", purpose="quantise a model")
    return tuple(value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
