"""The edge between exceptions and exit codes: one table."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from stonnx.cli import NOTHING_LEFT
from stonnx.errors import (
    ArtifactError,
    CheckpointError,
    MissingExtraError,
    RunError,
    StonnxError,
    UnsupportedModelError,
    UsageError,
    VerificationError,
)

__all__ = ["EXIT_CODES", "ExitCode", "exit_code", "report"]


class ExitCode(IntEnum):
    """What the exit status of ``stonnx`` says."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    BAD_INPUT = 3
    UNSUPPORTED = 4
    VERIFICATION_FAILED = 5
    RUN_FAILED = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141

    @property
    def meaning(self) -> str:
        """One line for the reference page."""
        return _MEANINGS[self]


_MEANINGS: Mapping[ExitCode, str] = MappingProxyType(
    {
        ExitCode.OK: "it worked",
        ExitCode.INTERNAL: "a bug in stonnx; please report it",
        ExitCode.USAGE: "an argument is wrong",
        ExitCode.BAD_INPUT: "the model or the artifact is missing or damaged",
        ExitCode.UNSUPPORTED: "the model is not supported, or an extra is not installed",
        ExitCode.VERIFICATION_FAILED: "vectors or scores differ from the original's by more than the tolerance",
        ExitCode.RUN_FAILED: "the machine said no: disk full, no network, out of memory, engine failure",
        ExitCode.INTERRUPTED: "Ctrl-C",
        ExitCode.BROKEN_PIPE: "the reader of stdout went away (as SIGPIPE would say)",
    }
)

EXIT_CODES: Mapping[type[BaseException], ExitCode] = MappingProxyType(
    {
        UsageError: ExitCode.USAGE,
        CheckpointError: ExitCode.BAD_INPUT,
        ArtifactError: ExitCode.BAD_INPUT,
        UnsupportedModelError: ExitCode.UNSUPPORTED,
        MissingExtraError: ExitCode.UNSUPPORTED,
        VerificationError: ExitCode.VERIFICATION_FAILED,
        RunError: ExitCode.RUN_FAILED,
        # Python's own errors, which are more often the machine's fault than ours.
        MemoryError: ExitCode.RUN_FAILED,
        OSError: ExitCode.RUN_FAILED,
        BrokenPipeError: ExitCode.BROKEN_PIPE,
        KeyboardInterrupt: ExitCode.INTERRUPTED,
    }
)


def exit_code(error: BaseException | type[BaseException]) -> ExitCode:
    """The exit code of an exception: its own row in the table, or its nearest ancestor's."""
    kind = error if isinstance(error, type) else type(error)
    return next((EXIT_CODES[base] for base in kind.__mro__ if base in EXIT_CODES), ExitCode.INTERNAL)


def report(error: BaseException) -> ExitCode:
    """Tell the user on stderr what ended the command, without a traceback.

    ``STONNX_TRACEBACK=1`` in the environment prints the traceback as well.
    """
    code = exit_code(error)
    if os.environ.get("STONNX_TRACEBACK", "") not in ("", "0"):
        _tell("".join(traceback.format_exception(error)).rstrip())
    if code is ExitCode.BROKEN_PIPE:
        _silence_stdout()
        return code
    _tell("\n".join(_lines(error, code)))
    return code


def _lines(error: BaseException, code: ExitCode) -> list[str]:
    from stonnx.cli._text import printable

    notes = [_tidy(note) for note in getattr(error, "__notes__", ())]
    if isinstance(error, KeyboardInterrupt):
        return [f"interrupted; {'; '.join(notes) or NOTHING_LEFT}"]
    told = [f"note: {note}" for note in notes]
    if isinstance(error, StonnxError):
        lines = [f"error: {_tidy(error.message)}", *told]
        return lines if error.cli_hint is None else [*lines, f"hint: {_tidy(error.cli_hint)}"]
    if isinstance(error, MemoryError):
        return ["error: The machine ran out of memory.", *told, "hint: Close other programs or take a smaller model."]
    detail = printable(" ".join(str(error).split()))
    if code is ExitCode.RUN_FAILED:
        return [f"error: {detail or type(error).__name__}", *told]
    name = type(error).__name__
    what = f"{name}: {detail}" if detail else name
    return [f"internal error: {what}; please report; set STONNX_TRACEBACK=1 for the traceback", *told]


def _tidy(text: str) -> str:
    """A message, which may quote a hostile file: line breaks stay, control characters are spelled out."""
    from stonnx.cli._text import printable

    return "\n".join(printable(line) for line in text.split("\n"))


def _tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # stderr is closed: nothing is left to tell
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _silence_stdout() -> None:
    """Send what is still buffered nowhere, or Python would complain about it when it exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
