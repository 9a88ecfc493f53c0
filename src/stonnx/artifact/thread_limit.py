"""How many threads may be asked for, the same on both sides of a comparison."""

from __future__ import annotations

from stonnx.errors import UsageError

__all__ = ["check_threads"]

# Four times the cores: more than one thread a core only costs, and a core count that was read too low (a quota that is
# about to change) is seldom off by more. Sixteen in any case, so that what was written for an ordinary machine runs in
# a small container. Without a limit a slip of the finger starts thousands of threads: engines wait for ever where the
# system does not give them.
_PER_CORE = 4
_ALWAYS_ALLOWED = 16


def check_threads(threads: int, *, cores: int) -> int:
    """``threads`` itself, if a machine of so many cores can use them.

    Args:
        threads: What the caller asked for.
        cores: Cores that the process may use.

    Raises:
        UsageError: It is below 1, more than four times the cores and more than 16.
    """
    if threads < 1:
        raise UsageError(f"threads is {threads}; expected at least 1.")
    most = max(_PER_CORE * cores, _ALWAYS_ALLOWED)
    if threads > most:
        raise UsageError(
            f"threads is {threads}; with the {cores} cores that this process may use, at most {most} are allowed.",
            hint=f"threads={cores} uses them all; more make nothing faster.",
            cli_hint=f"--threads {cores} uses them all; more make nothing faster.",
        )
    return threads
