"""Turns: every peer does one unit of work, then every peer the next, so that a busy moment of the machine hurts all."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers.catalog import BASELINE, Side
from peers.conductor import Worker, WorkerError

__all__ = ["Entry", "Plan", "Unit", "embed", "take_turns", "turn_order"]

_SLOWEST = 3.0  # see Plan.seconds


@dataclass(kw_only=True)
class Entry:
    """A side on its way through the run.

    Attributes:
        side: Which one.
        error: Why it is out; None while it takes part.
        worker: Its process, once started.
        starts: The first answers of each of its processes.
        turns: By phase, then by (round, unit), the seconds of each call.
        vectors: Of the mix, from its first measured round, in the order of the units' texts: float32,
            shape (texts, dimension).
        memory: Resident bytes after the mix, and the highest since its start.
        prepare_seconds: What its export and quantisation took; None where nothing is to be prepared.
        sts: Spearman's correlation, where it was asked for.
    """

    side: Side
    error: str | None = None
    worker: Worker | None = None
    starts: list[dict[str, Any]] = field(default_factory=list)
    turns: dict[str, dict[tuple[int, int], list[float]]] = field(default_factory=dict)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    prepare_seconds: float | None = None
    sts: float | None = None

    def drop(self, reason: str) -> None:
        """It failed: no further turn, and the reason goes into the results."""
        print(f"  {self.side.key}: {reason}", file=sys.stderr)
        self.error = reason
        if self.worker:
            self.worker.close()
            self.worker = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long a phase goes on.

    Attributes:
        rounds: At most so many times over all units.
        seconds: No further round once the original has used this much; the first is always finished. A side that
            has used three times as much sits the further rounds out.
    """

    rounds: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What a side does in one turn.

    Attributes:
        calls: Texts of each call.
        warm_up: Calls before it that do not count.
    """

    calls: Sequence[Sequence[str]]
    warm_up: Sequence[Sequence[str]] = ()


def take_turns(
    entries: Sequence[Entry], phase: str, units: Sequence[Unit], plan: Plan, out: Path | None = None
) -> None:
    """Let every side do every unit by turns, and keep the seconds; a side that fails drops out.

    Args:
        entries: The sides.
        phase: Under which name the seconds are kept.
        units: What each does.
        plan: When it is enough.
        out: A file for the vectors of a unit on their way; with it, those of the first round are kept, and the
            memory after each turn.
    """
    turn = 0
    for number in range(plan.rounds):
        for index, unit in enumerate(units):
            for entry in turn_order(entries, turn):
                if number and _spent(entry, phase) > _SLOWEST * plan.seconds:
                    continue
                seconds = _turn(entry, unit, out, keep=number == 0)
                if seconds is not None:
                    entry.turns.setdefault(phase, {})[number, index] = seconds
            turn += 1
        spent = _spent(_original(entries), phase)
        print(f"  {phase}: round {number + 1}, {spent:.0f} s of the original", file=sys.stderr)
        if spent >= plan.seconds:
            break


def _turn(entry: Entry, unit: Unit, out: Path | None, *, keep: bool) -> list[float] | None:
    if entry.worker is None:
        return None
    try:
        answer = entry.worker.ask(unit.calls, out=out, warm_up=unit.warm_up)
    except WorkerError as error:
        entry.drop(str(error))
        return None
    if out is not None:
        entry.memory = answer["memory"]
        if keep:
            entry.vectors.append(np.load(out, allow_pickle=False))
    seconds: list[float] = answer["seconds"]
    return seconds


def embed(entry: Entry, texts: Sequence[str], out: Path) -> NDArray[np.float32] | None:
    """Vectors of the texts, unmeasured; None where the side fails, which drops it."""
    if entry.worker is None:
        return None
    try:
        entry.worker.ask([texts], out=out)
    except WorkerError as error:
        entry.drop(str(error))
        return None
    vectors: NDArray[np.float32] = np.load(out, allow_pickle=False)
    return vectors


def turn_order(entries: Sequence[Entry], turn: int) -> list[Entry]:
    """Every other turn backwards, and another side first after two: nobody always follows the same one."""
    first = turn // 2 % len(entries)
    order = [*entries[first:], *entries[:first]]
    return order[::-1] if turn % 2 else order


def _original(entries: Sequence[Entry]) -> Entry:
    return next((entry for entry in entries if entry.side.key == BASELINE), entries[0])


def _spent(entry: Entry, phase: str) -> float:
    return sum(sum(seconds) for seconds in entry.turns.get(phase, {}).values())
