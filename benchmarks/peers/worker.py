"""One peer in a process of its own: loads, then encodes what it is asked, a JSON object a line.

    python worker.py JOB            serve requests on stdin until it closes
    python worker.py --prepare JOB  let the backend write what it needs, once

JOB is the JSON of ``peers.job.Job``. Answers go to the original stdout; whatever a library prints goes to stderr.
A request has ``calls`` (a list of lists of texts, each one call of the library) and optionally ``out`` (where the
vectors of all calls go, ``.npy``); its answer has ``seconds`` per call. Every answer carries the memory of the process.
Only the standard library, NumPy and the peer itself are here: this runs in the peer's environment.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import _common

from peers.job import Encode, Job

_FIRST_TEXT = "The first text."


def main() -> None:
    """Prepare, or serve."""
    answers = _own_stdout()
    _die_with_parent()
    _keep_to_cores(Job.from_json(sys.argv[-1]).threads)
    preparing = sys.argv[1] == "--prepare"
    job = Job.from_json(sys.argv[-1])
    backend = importlib.import_module(f"peers.backends.{job.backend}")
    if preparing:
        backend.prepare(job)
        return
    start = perf_counter()
    encode: Encode = backend.load(job)
    loaded = perf_counter()
    encode([_FIRST_TEXT])
    ready = {
        "load_seconds": loaded - start,
        "first_text_seconds": perf_counter() - loaded,
        "versions": _versions(backend.DISTRIBUTIONS),
    }
    _say(answers, ready)
    for line in sys.stdin:
        _say(answers, _serve(encode, json.loads(line)))


def _serve(encode: Encode, request: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    calls: list[list[str]] = request["calls"]
    seconds: list[float] = []
    vectors = []
    for texts in calls:
        start = perf_counter()
        found = encode(texts)
        seconds.append(perf_counter() - start)
        if found.ndim != 2 or len(found) != len(texts):
            raise ValueError(f"{len(texts)} texts gave an array of shape {found.shape}")
        vectors.append(found)
    if "out" in request:
        np.save(request["out"], np.concatenate(vectors).astype(np.float32, copy=False))
    return {"seconds": seconds}


def _say(answers: TextIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value | {"memory": _common.memory_bytes()}) + "\n")
    answers.flush()


def _versions(names: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # a stonnx that runs from its sources
            found[name] = importlib.metadata.version(name)
    return found


def _own_stdout() -> TextIO:
    """The stdout that the conductor reads; from here on, prints of libraries go to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _keep_to_cores(count: int) -> None:
    """With fewer threads than cores, use no more cores than threads: some libraries have no option for threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _die_with_parent() -> None:
    """Ask Linux to end this process with the conductor: a paused process would wait for ever."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    main()
