"""Workers as the conductor sees them: started, asked, and stopped in their tracks while another one works."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from peers.job import Job

__all__ = ["Worker", "WorkerError", "environment", "prepare", "shown_error", "without_paths"]

_SCRIPT = Path(__file__).resolve().parent / "worker.py"
_LONGEST_ERROR = 300


class WorkerError(Exception):
    """A worker ended, answered nothing in time, or could not prepare; the message has no paths of the machine."""


class Worker:
    """A peer's process. Between two requests it is stopped (SIGSTOP), so that no idle thread of it takes a core.

    Attributes:
        ready: The first answer: seconds of loading, versions, memory; and ``process_seconds``, from the start of
            the process to its first vector, by the conductor's clock.
    """

    def __init__(self, python: Path, job: Job, log: Path, timeout_seconds: float) -> None:
        self._log = log
        self._timeout = timeout_seconds
        start = perf_counter()
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [str(python), str(_SCRIPT), job.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment(job.threads),
                start_new_session=True,
            )
        try:
            self.ready = self._answer()
        except WorkerError:
            self.close()
            raise
        self.ready["process_seconds"] = perf_counter() - start
        self._signal("SIGSTOP")

    def ask(
        self, calls: Sequence[Sequence[str]], out: Path | None = None, warm_up: Sequence[Sequence[str]] = ()
    ) -> dict[str, Any]:
        """Let it encode each call; the answer has the ``seconds`` of each, and the memory afterwards.

        Args:
            calls: Texts of each call.
            out: Where the vectors of all calls go (``.npy``); None for nowhere.
            warm_up: Calls that come first, unmeasured.

        Raises:
            WorkerError: It ended, or did not answer in time.
        """
        self._signal("SIGCONT")
        if warm_up:
            self._request({"calls": warm_up})
        answer = self._request({"calls": calls} | ({"out": str(out)} if out else {}))
        self._signal("SIGSTOP")
        return answer

    def close(self) -> None:
        """End the process."""
        self._signal("SIGKILL")
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()
        self._process.wait()

    def _request(self, value: dict[str, Any]) -> dict[str, Any]:
        stdin = self._process.stdin
        try:
            if stdin:
                stdin.write(json.dumps(value).encode() + b"\n")
                stdin.flush()
        except OSError as error:
            raise WorkerError(shown_error(self._log)) from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        stdout = self._process.stdout
        if stdout is None or not select.select([stdout], [], [], self._timeout)[0]:
            raise WorkerError(f"no answer within {self._timeout:.0f} s")
        line = stdout.readline()
        if not line:
            code = self._process.wait()
            raise WorkerError(shown_error(self._log) or f"the process ended with {code}")
        value: dict[str, Any] = json.loads(line)
        return value

    def _signal(self, name: str) -> None:
        number = getattr(signal, name, None)  # Windows has neither SIGSTOP nor groups: workers stay idle there
        if number is not None and hasattr(os, "killpg") and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
        elif name == "SIGKILL":
            self._process.kill()


def prepare(python: Path, job: Job, log: Path, timeout_seconds: float) -> float:
    """Run the backend's ``prepare`` in a process of its own; the seconds it took.

    Raises:
        WorkerError: It failed or did not end in time.
    """
    command = [str(python), str(_SCRIPT), "--prepare", job.to_json()]
    start = perf_counter()
    with log.open("wb") as stderr:
        try:
            done = subprocess.run(
                command, stderr=stderr, env=environment(job.threads), timeout=timeout_seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise WorkerError(f"not prepared within {timeout_seconds:.0f} s") from error
    if done.returncode:
        raise WorkerError(shown_error(log) or f"the process ended with {done.returncode}")
    return perf_counter() - start


def environment(threads: int) -> dict[str, str]:
    """The variables of every worker: the same threads whatever reads them, and no network."""
    count = str(threads)
    pools = ("OMP", "MKL", "OPENBLAS", "RAYON", "VECLIB_MAXIMUM", "NUMEXPR", "TBB")
    return (
        os.environ
        | {f"{pool}_NUM_THREADS": count for pool in pools}
        | {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "TQDM_DISABLE": "1",
            "DO_NOT_TRACK": "1",
            "INFINITY_ANONYMOUS_USAGE_STATS": "0",
            "PYTHONUNBUFFERED": "1",
        }
    )


def shown_error(log: Path) -> str:
    """The last line of what a process wrote, without folders and addresses."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Failed|Panic\w*)\b", line)]
    return without_paths((errors or lines or [""])[-1])


def without_paths(text: str) -> str:
    """Folders give way to the last part of the path, addresses to a word."""
    text = re.sub(r"\w+://\S+", "(address)", text)
    text = re.sub(r"\b[\w-]+(?:\.[\w-]+)*\.(?:org|com|net|io|dev|cn|internal)\b", "(address)", text)
    text = re.sub(r"(?<![\w.])(?:/[\w.@+-]+)+/([\w.@+-]+)", r"\1", text)
    return text[:_LONGEST_ERROR]
