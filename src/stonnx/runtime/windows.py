"""Many texts in windows: slices of a list, or what is read from an iterator that may never end.

For example::

    for window in windows_of(texts, 16_384): ...
    windows = ReadWindows(endless_texts, 2048)
    for window in windows: ...               # windows.error says what ended it, if something did
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TypeVar

from stonnx.runtime.inputs import check_iterable, check_text

__all__ = ["ReadWindows", "windows_of"]

_Item = TypeVar("_Item")


def windows_of(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    """The items in windows of at most so many."""
    return (items[start : start + size] for start in range(0, len(items), size))


class ReadWindows:
    """The texts of an iterator in windows, read when they are asked for. Iterate over it once.

    What ends the reading early is kept, so that the texts before it can be given their results first.

    Args:
        texts: Any iterable of str; it may have no end.
        size: Texts of a window.

    Attributes:
        error: What the iterator raised, or what was wrong with an item; None where it ended by itself, so far.

    Raises:
        UsageError: It is not an iterable of str (a single str is none, either).
    """

    def __init__(self, texts: Iterable[str], size: int) -> None:
        self._texts = check_iterable(texts)
        self._size = size
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[list[str]]:
        window: list[str] = []
        for text in self._read():
            window.append(text)
            if len(window) == self._size:
                yield window
                window = []
        if window:
            yield window

    def _read(self) -> Iterator[str]:
        texts = iter(self._texts)
        for index in count():
            try:
                text = check_text(next(texts), index)
            except StopIteration:
                return
            except Exception as exc:  # noqa: BLE001  the caller's own: raised as it is, in its place
                self.error = exc
                return
            yield text
