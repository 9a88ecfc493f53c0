"""Fake sides on a fake clock: every number of a benchmark is known in advance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from stonnx.bench.sides import Side, Sides


@dataclass
class FakeRun:
    """The clock, which moves only when a side encodes, and the calls that were made."""

    now: float = 0.0
    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def side(self, name: str, seconds: Callable[[Sequence[str]], float], dimension: int = 4) -> Side:
        def encode(texts: Sequence[str]) -> NDArray[np.float32]:
            self.calls.append((name, tuple(texts)))
            self.now += seconds(texts)
            return np.array([[len(text) + 1.0] * dimension for text in texts], dtype=np.float32)

        return Side(name=name, run=encode, results=encode)

    def sides(self, a: float, b: float) -> Sides:
        """Sides that cost ``a`` and ``b`` seconds per text."""
        return Sides(
            a=self.side("a", lambda texts: a * len(texts)),
            b=self.side("b", lambda texts: b * len(texts)),
            variant="v",
            threads=1,
            streams=1,
        )


@pytest.fixture
def run() -> FakeRun:
    return FakeRun()
