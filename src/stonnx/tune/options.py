"""What a user wants from a tuning, and which settings are worth trying for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from stonnx.errors import UsageError
from stonnx.runtime.streams import RunSettings

__all__ = ["Aim", "TuneOptions", "WantedClass", "budgets_to_try", "threads_to_try"]

WantedClass = Literal["lossless", "high", "balanced"]
Aim = Literal["throughput", "latency"]

_SMALLEST_SHARE = 4  # threads per stream of the setting between one stream and one thread each


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """What is wanted.

    Attributes:
        fidelity: The class that the choice must keep on this machine.
        aim: ``throughput`` for many texts, ``latency`` for one at a time.
        seconds: Time for all of it. Every variant is loaded, compared and raced, however long that takes (the report
            says how long at least). Other settings are tried while time is left.
    """

    fidelity: WantedClass = "high"
    aim: Aim = "throughput"
    seconds: float = 60.0

    def check(self) -> None:
        """Look at the values.

        Raises:
            UsageError: ``seconds`` is not a number above 0.
        """
        if not 0 < self.seconds < float("inf"):
            raise UsageError(f"seconds is {self.seconds}; expected more than 0.")


def threads_to_try(default: RunSettings, aim: Aim) -> tuple[RunSettings, ...]:
    """Other ways to use the cores than the default.

    For many texts: as many streams of one thread as there are cores, and on larger machines streams of a few threads.
    For one text: fewer threads, because on short rows threads lose more by waiting for each other than they gain.
    """
    threads = default.threads
    if aim == "throughput":
        counts = dict.fromkeys((threads, threads // _SMALLEST_SHARE))
        return tuple(replace(default, streams=count, by_call=False) for count in counts if count > 1)
    counts = dict.fromkeys((threads // 2, threads // 4))
    return tuple(replace(default, threads=count, streams=1, by_call=False) for count in counts if count >= 1)


def budgets_to_try(settings: RunSettings, default: RunSettings) -> tuple[RunSettings, ...]:
    """Other batch budgets than the given one: half and twice as much.

    Where the given one is not the default, only the one that leads further away from the default.
    """
    tokens, start = settings.batch_tokens, default.batch_tokens
    budgets = (tokens // 2, tokens * 2) if tokens == start else (tokens // 2,) if tokens < start else (tokens * 2,)
    return tuple(replace(settings, batch_tokens=budget) for budget in budgets)
