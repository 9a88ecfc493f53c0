"""Progress on stderr: moving on a terminal, one line per step elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from stonnx.cli import _console
from stonnx.cli._text import printable, seconds_text

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID
    from rich.status import Status

__all__ = ["Progress", "Steps"]

_SECONDS_BETWEEN_DRAWINGS = 0.2


class Steps:
    """Shows the steps of a job as they begin; on a terminal also how long each took."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._status: Status | None = None
        self._current: str | None = None
        self._started = 0.0

    def __enter__(self) -> Self:
        """Start the spinner on a terminal."""
        if not self._quiet and _console.is_terminal(sys.stderr):
            self._status = _console.console(sys.stderr).status("", refresh_per_second=4)
            self._status.start()
        return self

    def __call__(self, step: str) -> None:
        """The named step begins, and the one before it is over."""
        step = printable(step)
        self._finish()
        self._current, self._started = step, time.perf_counter()
        if self._status is not None:
            self._status.update(step)
        elif not self._quiet:
            _console.talk(f"  {step}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the spinner; a step that failed is not reported as done."""
        if error is None:
            self._finish()
        if self._status is not None:
            self._status.stop()

    def _finish(self) -> None:
        if self._status is None or self._current is None:
            return
        took = seconds_text(time.perf_counter() - self._started)
        room = _console.width() - len(took) - 6
        self._status.console.print(f"  {self._current[:room]:<{min(room, 60)}}  {took}")


class Progress:
    """A progress bar for each label, for callbacks of the form ``(label, done, total)``.

    Bars are updated only inside a callback: a thread of their own would disturb what is being measured.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bars: RichProgress | None = None
        self._tasks: dict[str, TaskID | None] = {}
        self._drawn = 0.0

    def __enter__(self) -> Self:
        """Start the display on a terminal."""
        if not self._quiet and _console.is_terminal(sys.stderr):
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as RichProgress

            self._bars = RichProgress(
                TextColumn("  {task.description}", markup=False),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=_console.console(sys.stderr),
                auto_refresh=False,
            )
            self._bars.start()
        return self

    def __call__(self, label: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of the labelled work are over."""
        label = printable(label)
        if self._bars is not None:
            task = self._tasks.get(label)
            if task is None:
                task = self._tasks[label] = self._bars.add_task(label, total=total)
            now = time.monotonic()
            due = done >= total or now - self._drawn >= _SECONDS_BETWEEN_DRAWINGS
            self._drawn = now if due else self._drawn
            self._bars.update(task, completed=done, total=total, refresh=due)
        elif label not in self._tasks:
            self._tasks[label] = None
            if not self._quiet:
                _console.talk(f"  {label}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the display; the bars stay as they are."""
        if self._bars is not None:
            self._bars.stop()
