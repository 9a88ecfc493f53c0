"""Runs a graph that is still being made on token rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stonnx._extras import require
from stonnx.errors import RunError
from stonnx.runtime.batching import plan_batches
from stonnx.runtime.cores import usable_cores
from stonnx.runtime.feeds import make_feeds
from stonnx.runtime.shortages import check_threads_start
from stonnx.runtime.token_rows import TokenRows

__all__ = ["output_rows", "run_rows"]

_BATCH_TOKENS = 256  # calibration asks for the inputs of all layers at once: little at a time


def run_rows(
    path: Path, rows: TokenRows, *, names: Sequence[str]
) -> Iterator[tuple[NDArray[np.int64], list[NDArray[np.float32]]]]:
    """Run a graph without a mask, batch by batch.

    Args:
        path: The ONNX file; its external data lies beside it.
        rows: Token rows.
        names: The outputs to fetch.

    Yields:
        The row numbers of a batch, int64, shape (rows of the batch,), and its float32 outputs in the order of
        ``names``.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        RunError: ONNX Runtime failed, or the system gives too few threads.
    """
    ort = require("onnxruntime", extra="cpu", purpose="quantise a model")
    options = ort.SessionOptions()
    threads = usable_cores()
    check_threads_start(threads)
    options.intra_op_num_threads = threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    foreign: tuple[type[Exception], ...] = (RuntimeError, ValueError, *_own_errors())
    try:
        session: Any = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
        inputs = tuple(given.name for given in session.get_inputs())
        for index in plan_batches(rows.lengths, batch_tokens=_BATCH_TOKENS, equal_lengths=True):
            yield index, session.run(list(names), make_feeds(rows, index, inputs=inputs, pad_id=0))
    except foreign as exc:
        raise RunError(
            f"ONNX Runtime {ort.__version__} failed while the model was quantised: {str(exc).splitlines()[0]}",
            hint="Convert without int8, and please report it with the model's name.",
        ) from exc


def output_rows(path: Path, rows: TokenRows, *, output: str, width: int) -> NDArray[np.float32]:
    """One output of a graph for token rows, float32, shape (rows, width).

    Args:
        path: The ONNX file; its external data lies beside it.
        rows: Token rows.
        output: Name of the output, such as ``sentence_embedding`` or ``logits``.
        width: Length of its last axis.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        RunError: ONNX Runtime failed.
    """
    results = np.empty((len(rows), width), dtype=np.float32)
    for index, (found,) in run_rows(path, rows, names=[output]):
        results[index] = found
    return results


def _own_errors() -> tuple[type[Exception], ...]:
    state = require("onnxruntime.capi.onnxruntime_pybind11_state", extra="cpu", purpose="quantise a model")
    return tuple(value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
