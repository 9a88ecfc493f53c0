"""One at a time, or a few, in the order of arrival."""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["Turns"]


class Turns:
    """A lock that callers get in the order in which they asked for it. Used with ``with``.

    A ``threading.Lock`` would go to a caller with many jobs again and again, before those who wait have woken up.

    Args:
        count: How many may hold it at a time.
    """

    def __init__(self, count: int = 1) -> None:
        self._guard = threading.Lock()
        self._free = count
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if self._free:
                self._free -= 1
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        try:
            mine.acquire()  # until the one before hands over
        except BaseException:  # such as KeyboardInterrupt
            self._give_up(mine)
            raise

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    def _give_up(self, mine: threading.Lock) -> None:
        with self._guard:
            waiting = mine in self._waiting
            if waiting:
                self._waiting.remove(mine)
        if not waiting:  # it was handed over in the same moment
            self.__exit__()
