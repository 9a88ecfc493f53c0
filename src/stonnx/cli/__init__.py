"""The command line: one file per verb, imported when the verb is called.

A module without an underscore is a verb. It has ``DESCRIPTION``, ``EXAMPLES``,
``add_arguments(parser)`` and ``run(args) -> int`` (the exit code); anything heavy is
imported inside ``run``. stdout carries data, stderr carries talk.
"""

from __future__ import annotations

from stonnx.cli._main import main

__all__ = ["main"]
