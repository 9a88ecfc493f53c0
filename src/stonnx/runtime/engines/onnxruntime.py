"""ONNX Runtime on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stonnx._extras import require
from stonnx.artifact import Artifact
from stonnx.artifact.manifest import Variant
from stonnx.errors import ArtifactError, RunError
from stonnx.runtime.engines._onnxruntime_async import run_on_its_thread
from stonnx.runtime.engines._options import check_options
from stonnx.runtime.engines.base import FORKED, run_failure
from stonnx.runtime.feeds import Feeds
from stonnx.runtime.forks import keep_for_good, tell_after_fork

__all__ = ["OnnxRuntimeEngine", "open_variant"]

_PROVIDER = "CPUExecutionProvider"


class OnnxRuntimeEngine:
    """One session. Safe to call from several threads.

    Args:
        graph: The ONNX file; its external data lies beside it.
        threads: Threads of one run, the calling one included.
        optimize: Let ONNX Runtime optimise the graph while it loads. False for graphs that were
            authored with its fused operators in place: there is nothing left to do but to load.
        shared: Runs that come together share the threads: the first has the calling thread, and every other one of
            the session's own, where ONNX Runtime's loops go on without helpers while all are busy. So one session,
            with one copy of the packed weights, is as quick for one text as for many.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ArtifactError: The graph is damaged.
    """

    name = "onnxruntime"

    def __init__(self, graph: Path, *, threads: int, optimize: bool, shared: bool = False) -> None:
        ort = require("onnxruntime", extra="cpu", purpose="run ONNX models")
        self.version: str = ort.__version__
        self._errors = _foreign_errors()
        options = _session_options(ort, threads=threads, optimize=optimize)
        try:
            # enable_fallback: by default a failure is printed to stdout and the work repeated on another provider.
            session = ort.InferenceSession(str(graph), options, providers=[_PROVIDER], enable_fallback=0)
        except self._errors as exc:
            raise ArtifactError(
                f"ONNX Runtime {self.version} cannot load {graph}: {_first_line(exc)}",
                hint="Convert the model again, or upgrade onnxruntime.",
            ) from exc
        self.lost_in_fork = False
        self.shares_threads = shared and threads > 1
        self._lead = threading.Lock()
        self._threads = threads
        self._running: set[int] = set()
        self._run_options = ort.RunOptions()
        self._session: Any = session
        tell_after_fork(self)

    def run(self, feeds: Feeds, outputs: Sequence[str]) -> tuple[NDArray[np.float32], ...]:
        """Run the graph once; see ``Engine.run``.

        Raises:
            RunError: ONNX Runtime failed, or the engine is closed.
        """
        session = self._session
        if session is None:
            raise RunError(FORKED if self.lost_in_fork else "The engine is closed.")
        caller = threading.get_ident()
        self._running.add(caller)
        try:
            return tuple(self._results(session, feeds, outputs))
        except self._errors as exc:
            raise run_failure(f"ONNX Runtime {self.version}", feeds, _first_line(exc)) from exc
        finally:
            self._running.discard(caller)

    def _results(self, session: Any, feeds: Feeds, outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        if self.shares_threads and not self._lead.acquire(blocking=False):
            return run_on_its_thread(session, feeds, outputs, self._run_options)
        try:
            results: list[NDArray[np.float32]] = session.run(list(outputs), dict(feeds), self._run_options)
        finally:
            if self.shares_threads:
                self._lead.release()
        return results

    def close(self) -> None:
        """Release the session once runs in other threads are done with it; further runs are an error."""
        self._session = None

    def after_fork(self) -> None:
        """In a forked child: a session is lost that has threads of its own, or was in the middle of a run.

        Any other lives on, and shares its memory with the parent.
        """
        if self._session is not None and (self._threads > 1 or self._running):
            keep_for_good(self._session)
            self._session = None
            self.lost_in_fork = True


def open_variant(variant: Variant, artifact: Artifact, *, threads: int, shared: bool = False) -> OnnxRuntimeEngine:
    """The engine on a variant's graph.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ArtifactError: The graph is damaged, or the variant sets an option.
    """
    check_options(variant, {}, engine="ONNX Runtime")
    # Only graphs that were authored for ONNX Runtime take no mask, and those come fused.
    optimize = variant.graph.layout != "equal_lengths"
    return OnnxRuntimeEngine(artifact.file(variant.graph.file), threads=threads, optimize=optimize, shared=shared)


def _session_options(ort: ModuleType, *, threads: int, optimize: bool) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    options.log_severity_level = 4  # errors reach the caller as exceptions: not on stderr as well
    # The plan of every input shape would be kept for good, and text has thousands of shapes. The arena stays on:
    # it levels off (benchmarks/memory.py), and without it every run allocates anew.
    options.enable_mem_pattern = False
    # Weights outside the arena: it would round them up to a power of two.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    # By default idle threads spin for about a million pause instructions after each parallel section. A millisecond
    # bridges the gaps between operators and gives the cores back between texts.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "1000")
    return options


def _foreign_errors() -> tuple[type[Exception], ...]:
    state = require("onnxruntime.capi.onnxruntime_pybind11_state", extra="cpu", purpose="run ONNX models")
    # Its classes share no base but Exception. ValueError comes from the Python wrapper, RuntimeError from pybind.
    own = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (RuntimeError, ValueError, *own)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
