"""A progress bar on stderr, for callers who ask for one.

For example::

    with progress("Encoding", len(texts), noun="texts", show=True) as advance:
        for window in windows:
            advance(len(window))
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["progress"]


@contextlib.contextmanager
def progress(label: str, total: int, *, noun: str, show: bool) -> Iterator[Callable[[int], None]]:
    """Show how many texts or pairs are done.

    Args:
        label: What is going on.
        total: How many there are.
        noun: What they are.
        show: False draws nothing, and rich is not imported.

    Yields:
        A function to call with the number of those that were just finished.
    """
    if not show:
        yield _ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(noun),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)
        yield lambda finished: bar.advance(task, finished)


def _ignore(_: int) -> None:
    """No bar to move."""
