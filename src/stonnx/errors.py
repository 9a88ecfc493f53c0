"""The error tree of stonnx, drawn once.

Who catches a class catches those below it::

    StonnxError                      everything that stonnx raises on purpose
    ├── UsageError                   an argument is wrong (also a ValueError)
    ├── CheckpointError              the source is not a readable model folder
    ├── ArtifactError                the artifact is missing, broken or too new
    ├── UnsupportedModelError        a model, module or option that stonnx does not author
    ├── MissingExtraError            an optional dependency is not installed
    ├── VerificationError            the results are not the original's, within tolerance
    └── RunError                     the machine said no: disk full, network, engine failure

A message says what is wrong with the value that was found and what was expected;
``hint`` says what to do next, in Python's words; where those of the command line
differ, ``cli_hint`` has them. The command line maps each class to an exit code in
one table (``stonnx.cli._exit``).
"""

from __future__ import annotations

__all__ = [
    "ArtifactError",
    "CheckpointError",
    "MissingExtraError",
    "RunError",
    "StonnxError",
    "UnsupportedModelError",
    "UsageError",
    "VerificationError",
]

_LONGEST = 4000


class StonnxError(Exception):
    """Base class of every error that stonnx raises on purpose.

    Args:
        message: What is wrong with the value that was found, and what was expected.
        hint: The next step for the user, usually a command; None when there is none.
        cli_hint: The same for a user of the command line, where an argument of a function is an option of a verb;
            None when ``hint`` serves both.
    """

    def __init__(self, message: str, *, hint: str | None = None, cli_hint: str | None = None) -> None:
        # Messages quote what files hold, and a file may hold one line of a million letters.
        message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]} (cut here)"
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.cli_hint = hint if cli_hint is None else cli_hint

    def __str__(self) -> str:
        """The message, followed by the hint on its own line."""
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


class UsageError(StonnxError, ValueError):
    """An argument is wrong: the caller can repair it."""


class CheckpointError(StonnxError):
    """The source is not a model folder, or a file in it is missing or damaged."""


class ArtifactError(StonnxError):
    """The artifact is missing, damaged, hostile, or written by a newer stonnx."""


class UnsupportedModelError(StonnxError):
    """The model is readable, but stonnx does not author this architecture, module or option."""


class MissingExtraError(StonnxError):
    """An optional dependency is not installed; the hint is the exact pip line."""


class VerificationError(StonnxError):
    """The measured fidelity is outside the tolerance."""


class RunError(StonnxError):
    """The work could not be carried out: disk full, no network, engine failure."""
