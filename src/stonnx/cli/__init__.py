"""The command line: one file per verb, imported when the verb is called.

A module without an underscore is a verb. It has ``DESCRIPTION``, ``EXAMPLES``,
``add_arguments(parser)`` and ``run(args) -> int`` (the exit code); anything heavy is
imported inside ``run``. stdout carries data, stderr carries talk.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

NOTHING_LEFT = "nothing half-written was left behind"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; see :func:`stonnx.cli._main.main`.

    Even the imports are inside, so that an early Ctrl-C is reported like a late one.
    """
    try:
        from stonnx.cli._main import main as run

        return run(argv)
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted; {NOTHING_LEFT}\n")
        return 130  # ExitCode.INTERRUPTED, which may not have been imported
