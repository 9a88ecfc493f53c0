"""A progress bar on stderr, for callers who ask for one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["text_progress"]


@contextlib.contextmanager
def text_progress(total: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Show how many texts are done.

    Args:
        total: Number of texts.
        show: False draws nothing, and rich is not imported.

    Yields:
        A function to call with the number of texts that were just finished.
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
        TextColumn("texts"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("Encoding", total=total)
        yield lambda finished: progress.advance(task, finished)


def _ignore(_: int) -> None:
    """No bar to move."""
