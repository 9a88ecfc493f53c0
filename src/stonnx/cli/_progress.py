"""Progress on stderr: moving on a terminal, one line per step elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from stonnx.cli import _console
from stonnx.cli._text import printable, seconds_text, shortened
from stonnx.cli._time_left import TimeLeft, left_text

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID
    from rich.status import Status

__all__ = ["Progress", "Steps"]

_SECONDS_BETWEEN_DRAWINGS = 0.2


class Steps:
    """Shows the steps of a job as they begin; on a terminal also how long each took, and goes on.

    Itself it hears of steps; ``part`` hears of their parts (``stonnx._steps``)::

        with Steps(quiet=False) as steps:
            convert(source, out, on_step=steps, on_part=steps.part)
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._status: Status | None = None
        self._current: str | None = None
        self._started = 0.0
        self._left = TimeLeft(now=0.0)

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
        self._left = TimeLeft(now=self._started)
        if self._status is not None:
            self._status.update(_Current(step, self._left))
        elif not self._quiet:
            _console.talk(f"  {step}")

    def part(self, done: int, total: int) -> None:
        """``done`` of ``total`` parts of the step are over."""
        self._left.part(done, total, time.perf_counter())

    def line(self, text: str) -> None:
        """A line of its own, between steps."""
        if self._status is not None:
            self._status.console.print(f"  {printable(text)}"[: _console.width()])
        elif not self._quiet:
            _console.talk(f"  {printable(text)}")

    def found(self, text: str) -> None:
        """The step is over, and this is what it found: on a terminal it stands in place of the step's name."""
        if self._status is None:
            self.line(text)
            return
        self._current = printable(text)
        self._finish()
        self._current = None

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


class _Current:
    """The line of a step that goes on, made anew each time that it is drawn: the time left runs down meanwhile."""

    def __init__(self, step: str, left: TimeLeft) -> None:
        self._step, self._left = step, left

    def __rich__(self) -> str:
        room = _console.width() - 2  # the spinner, and a space
        done, total = self._left.parts
        if not total:
            return shortened(self._step, room)
        seconds = self._left.seconds(time.perf_counter())
        far = f"  {done} of {total}" + ("" if seconds is None else f", {left_text(seconds)}")
        return shortened(self._step, room - len(far)) + far


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
