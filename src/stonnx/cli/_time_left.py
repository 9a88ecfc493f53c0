"""How long a step goes on, told from its parts that are done.

For example::

    left = TimeLeft(now=0.0)
    left.part(done=3, total=12, now=6.0)
    left.seconds(now=7.0)  # 17.0: nine parts of two seconds each, less the second since
"""

from __future__ import annotations

__all__ = ["TimeLeft", "left_text"]

_LATEST = 0.3  # weight of the part that ended last: the machine may become faster or slower meanwhile
_FEWEST_PARTS = 2
_SHORTEST_SECONDS = 2.0  # before, what a step takes once (opening an engine) outweighs the parts


class TimeLeft:
    """The parts of one step, and when they ended.

    Args:
        now: When the step began, in seconds of any clock that the calls share.
    """

    def __init__(self, now: float) -> None:
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._started = self._last = now
        self._done = self._total = 0
        self._per_part = 0.0

    @property
    def parts(self) -> tuple[int, int]:
        """How many parts are done, and how many there are in all; 0 of 0 where nobody said."""
        return self._done, self._total

    def part(self, done: int, total: int, now: float) -> None:
        """``done`` parts of ``total`` have ended; fewer, or of another number, are parts of something new."""
        if self._total and (done < self._done or total != self._total):
            self._begin(now)
        more = done - self._done
        if more:
            latest = (now - self._last) / more
            weight = 1.0 if self._done == 0 else 1 - (1 - _LATEST) ** more
            self._per_part += weight * (latest - self._per_part)
            self._last = now
        self._done, self._total = done, total

    def seconds(self, now: float) -> float | None:
        """How long it takes from now on; None as long as nobody can say, and after the last part."""
        parts = self._total - self._done
        if self._done < _FEWEST_PARTS or self._last - self._started < _SHORTEST_SECONDS or not parts:
            return None
        return max(0.0, parts * self._per_part - (now - self._last))


def left_text(seconds: float) -> str:
    """An estimate in words, no finer than it is known: ``about 12 s left``, ``about 3 min left``."""
    if seconds < 10:
        return f"about {max(1, round(seconds))} s left"
    if seconds < 90:
        return f"about {5 * round(seconds / 5)} s left"
    return f"about {round(seconds / 60)} min left"
