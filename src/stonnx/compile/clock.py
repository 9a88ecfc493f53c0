"""Tells a caller what is done, and remembers how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stonnx._steps import Telling

__all__ = ["Clock"]


@dataclass
class Clock:
    """The steps of a job.

    For example::

        with clock.step("read", "reading my-model"):
            ...
        clock.seconds["read"]

    Attributes:
        tell: Hears of each step.
        seconds: Wall time of those that are over, by name.
    """

    tell: Telling
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, sentence: str) -> Iterator[None]:
        """A step begins, and ends with the block; one that fails is not remembered."""
        self.tell.step(sentence)
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
