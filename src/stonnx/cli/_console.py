"""Where a verb speaks: data and results on stdout, talk and progress on stderr.

rich is imported when something is printed through it, never at start.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import islice
from typing import IO, TYPE_CHECKING

from stonnx.cli._text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from stonnx.cli._progress import Progress, Steps

__all__ = ["Output", "TalkHandler", "console", "is_terminal", "talk", "width"]


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person watches the stream: colour and moving progress are for terminals only."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def width() -> int:
    """Columns to fill: COLUMNS, else the terminal's, else 80; a very wide terminal is not filled."""
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 100))


def console(stream: IO[str], *, margin: int = 0) -> Console:
    """A rich console that takes text literally and obeys NO_COLOR."""
    from rich.console import Console

    return Console(
        file=stream,
        # Explicit: rich's own guess can be turned around by FORCE_COLOR and by notebooks.
        force_terminal=is_terminal(stream),
        width=width() - margin,
        markup=False,
        highlight=False,
        emoji=False,
    )


class Output:
    """The two streams of one command.

    Args:
        quiet: No talk and no progress; results and errors are still printed.
        json_mode: The verb prints its result as JSON, and nothing else on stdout.
    """

    def __init__(self, *, quiet: bool = False, json_mode: bool = False) -> None:
        self.quiet = quiet
        self.json_mode = json_mode

    @classmethod
    def of(cls, args: argparse.Namespace) -> Output:
        """The output that the command's ``--quiet`` and ``--json`` ask for."""
        return cls(quiet=args.quiet, json_mode=args.json)

    # -- talk (stderr) -------------------------------------------------------------------

    def say(self, text: str) -> None:
        """A sentence on stderr, wrapped; nothing with ``--quiet``."""
        if not self.quiet:
            talk(_wrapped(text))

    def steps(self) -> Steps:
        """A context manager to call with the name of each step as it begins."""
        from stonnx.cli._progress import Steps

        return Steps(quiet=self.quiet)

    def progress(self) -> Progress:
        """A context manager to call with (label, done, total)."""
        from stonnx.cli._progress import Progress

        return Progress(quiet=self.quiet)

    # -- results (stdout) ----------------------------------------------------------------

    def data(self, value: object) -> None:
        """One JSON document on stdout."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False) + "\n")

    def heading(self, text: str) -> None:
        """The title of a block, with an empty line before it."""
        from rich.text import Text

        sys.stdout.write("\n" + _rendered(Text(printable(text), style="bold", overflow="fold")))
        sys.stdout.flush()  # a person reads it while the next step runs, also through a pipe

    def text(self, text: str = "") -> None:
        """A sentence, wrapped."""
        sys.stdout.write(_wrapped(text) + "\n")

    def line(self, text: str) -> None:
        """A line as it is, however long."""
        sys.stdout.write(printable(text) + "\n")

    def item(self, text: str) -> None:
        """A sentence in a list, wrapped under itself."""
        sys.stdout.write(_wrapped(text, first="  - ", rest="    ") + "\n")

    def command(self, *words: str) -> None:
        """A command to type next: quoted for the shell, and never wrapped, so that it can be copied."""
        self.line("  " + " ".join(map(_quoted, words)))

    def fields(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and values, aligned; long values wrap under themselves."""
        indent = max(len(name) for name, _ in rows) + 4
        for name, value in rows:
            first = f"  {name}".ljust(indent)
            sys.stdout.write(_wrapped(value, first=first, rest=" " * indent) + "\n")

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, shorten: bool = False
    ) -> None:
        """A table, made to fit the width of the terminal.

        Where it is too wide, the space between the columns shrinks first, then the texts in the left columns are cut
        (with ``shorten``, and not below 20 characters). If that is not enough, each row becomes a short list.

        Args:
            columns: The titles.
            rows: A cell for each title.
            left: How many columns, from the first, are aligned to the left; the others are numbers.
            shorten: Whether the left columns are texts, which may be cut; names never are.
        """
        room = width() - 2
        for gap in _GAPS:
            grid = _grid(columns, rows, left=left, gap=gap)
            missing = _natural_width(grid) - room
            if missing <= 0:
                break
        if missing > (_spare(columns, rows, left=left) if shorten else 0):
            self._records(columns, rows, left=left, shorten=shorten)
            return
        for line in _rendered(grid, margin=2).splitlines():
            sys.stdout.write("  " + line.rstrip() + "\n")

    def _records(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: int, shorten: bool) -> None:
        """Each row as a short list: the left cells as its title, the others as names and values."""
        indent = max(len(column) for column in columns[left:]) + 6
        for row in rows:
            title = "  ".join(filter(None, row[:left]))
            self.line("  " + (_shortened(title, width() - 2) if shorten else title))
            for column, cell in zip(columns[left:], row[left:], strict=True):
                if cell:
                    sys.stdout.write(_wrapped(cell, first=f"    {column}".ljust(indent), rest=" " * indent) + "\n")


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: int, gap: int) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    # The box itself has one column of space between two columns, and a cell one on either side, or one to share.
    grid = Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        header_style="bold",
        collapse_padding=gap < _GAPS[0],
        padding=(0, 1 if gap > _GAPS[-1] else 0),
    )
    for at, column in enumerate(columns):
        is_left = at < left
        grid.add_column(
            column,
            justify="left" if is_left else "right",
            # Numbers keep their room; the names and texts give way. rich takes room only from columns that may
            # wrap, so it is the cells below that forbid wrapping, not the columns.
            no_wrap=not is_left,
        )
    for row in rows:
        grid.add_row(
            *(Text(printable(cell), style=_STYLES.get(cell, ""), no_wrap=True, overflow="ellipsis") for cell in row)
        )
    return grid


def _natural_width(grid: Table) -> int:
    """Columns of the terminal that a table takes where nothing is cut."""
    measuring = console(sys.stdout)
    return measuring.measure(grid, options=measuring.options.update(max_width=_ENDLESS)).maximum


def _spare(columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> int:
    """Columns of the terminal that the texts in the left columns can do without."""
    from rich.cells import cell_len

    widest = (max(cell_len(printable(cell)) for cell in cells) for cells in zip(columns, *rows, strict=True))
    return sum(max(0, wide - _TEXT_BEGINNING) for wide in islice(widest, left))


def _shortened(text: str, room: int) -> str:
    from rich.text import Text

    shown = Text(printable(text))
    shown.truncate(room, overflow="ellipsis")
    return shown.plain


def _quoted(word: str) -> str:
    """A word of a command line: double quotes where they do, as every shell knows them."""
    import shlex

    quoted = shlex.quote(word)
    return quoted if quoted == word or any(char in word for char in '"$`!\\') else f'"{word}"'


_GAPS = (3, 2, 1)  # columns of the terminal between two columns of a table, the best first
_TEXT_BEGINNING = 20  # columns of the terminal
_ENDLESS = 10_000
_STYLES = {"pass": "green", "FAIL": "bold red"}


class TalkHandler(logging.Handler):
    """Prints log records on the stderr of the moment, as talk.

    A record's ``cli_hint`` is shown as a hint, as an error's is. One with ``truncated_texts`` is not shown.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out that texts were truncated: `encode` tells the total, and elsewhere the texts are test texts."""
        return not hasattr(record, "truncated_texts") and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Print ``warning: message``, and ``hint: ...`` below it where there is one."""
        talk(_wrapped(f"{record.levelname.lower()}: {record.getMessage()}"))
        hint = getattr(record, "cli_hint", None)
        if hint is not None:
            talk(_wrapped(f"hint: {hint}"))


def talk(text: str) -> None:
    """Whole lines on stderr, without wrapping, after everything that was written to stdout before."""
    sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):  # nobody listens: no reason to end the work
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _rendered(renderable: RenderableType, *, margin: int = 0) -> str:
    # Written by us, not by rich: it would end the process when the reader of stdout goes away.
    out = console(sys.stdout, margin=margin)
    with out.capture() as capture:
        out.print(renderable)
    return capture.get()


def _wrapped(text: str, *, first: str = "", rest: str = "") -> str:
    # A path or a command is never broken, even where it is longer than the line.
    return (
        textwrap.fill(
            printable(text),
            width=width(),
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
        or first.rstrip()
    )
