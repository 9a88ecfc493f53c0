"""How the batches of a call are run: one by one with all threads, or side by side with a share of them each.

For example::

    plan = fit_plan(make, threads=2, costs=costs_of("int8"))
    plan.batches, plan.way                   # "side by side" for many texts, "alone" for a long one
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batches", "Costs", "Planned", "Way", "cost_alone", "cost_side_by_side", "costs_of", "fit_plan"]

Batches = list[tuple[NDArray[np.int64], int]]
"""Row numbers of each engine run, int64, and its area: rows times longest row, padding included."""

Way = Literal["alone", "here", "side by side"]
"""``alone``: one run after the other in the calling thread, each with all threads if it gets them, and in turns with
others that want them. ``here``: the same for a single run that loses nothing beside others. ``side by side``: as many
at a time as there are threads."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a run costs, where one token on one thread costs 1.

    A run of ``area`` tokens on n threads takes ``overhead + area * (serial + (1 - serial) / n)``. Weights are as dear
    to read as tokens are to multiply with them, so these figures hold for small and large models alike.

    Attributes:
        alone: The overhead of a run that has the machine for itself.
        beside: The overhead of a run beside others: they share the memory's bandwidth, and a thread hands them over.
        serial: The part of the work that more threads do not speed up, 0 to 1.
    """

    alone: float
    beside: float
    serial: float

    def of_run(self, area: int, *, threads: float, overhead: float) -> float:
        """What one run costs.

        Args:
            area: Rows times longest row.
            threads: Threads that it has.
            overhead: ``alone`` or ``beside``.
        """
        return overhead + area * (self.serial + (1 - self.serial) / threads)


class Planned(NamedTuple):
    """The engine runs of some rows, and how they are run."""

    batches: Batches
    way: Way


# Measured with ONNX Runtime on two cores, 4 to 1,024 tokens a run, and fitted (docs/decisions/0005-threads.md).
# Products of int8 are over so soon that the parts between them, which one thread does, weigh more.
_FLOAT = Costs(alone=4, beside=14, serial=0.1)
_INT8 = Costs(alone=14, beside=36, serial=0.4)

# Threads of one run wait for each other at every operator, for long where something else keeps a core busy. So where
# both ways are about as quick, the runs go side by side.
_ABOUT = 1.05


def costs_of(precision: str) -> Costs:
    """What runs of a variant cost, by its precision."""
    return _INT8 if precision == "int8" else _FLOAT


def cost_alone(areas: Sequence[int], *, threads: int, costs: Costs) -> float:
    """What runs cost one after the other, each with all threads.

    Args:
        areas: Rows times longest row of each run.
        threads: Threads in all.
        costs: What a run costs.
    """
    return sum(costs.of_run(area, threads=threads, overhead=costs.alone) for area in areas)


def cost_side_by_side(areas: Sequence[int], *, threads: int, costs: Costs) -> float:
    """What runs cost side by side until the last one ends; each goes to the place that is free first.

    Args:
        areas: Rows times longest row of each run, in the order in which they begin.
        threads: Threads in all; where there are fewer runs than that, each has several.
        costs: What a run costs.
    """
    if len(areas) < 2:
        return cost_alone(areas, threads=threads, costs=costs)
    places = [0.0] * min(threads, len(areas))
    share = threads / len(places)
    for area in areas:
        run = costs.of_run(area, threads=share, overhead=costs.beside)
        heapq.heapreplace(places, places[0] + run)
    return max(places)


def fit_plan(make: Callable[[int], Batches], *, threads: int, costs: Costs) -> Planned:
    """The quicker of two plans for the same rows; side by side where that is about as quick.

    Args:
        make: Plans the rows for so many runs at a time.
        threads: Threads in all.
        costs: What a run costs.
    """
    whole = make(1)
    if threads == 1:
        return Planned(whole, "alone")
    alone = cost_alone([area for _, area in whole], threads=threads, costs=costs)
    parts = make(threads)
    beside = cost_side_by_side([area for _, area in parts], threads=threads, costs=costs)
    if len(parts) > 1 and beside < _ABOUT * alone:
        return Planned(parts, "side by side")
    return Planned(whole, _way_of_few(whole, threads=threads, costs=costs))


def _way_of_few(batches: Batches, *, threads: int, costs: Costs) -> Way:
    """Whether others who come with the same had better wait for their turn, or run beside."""
    if len(batches) != 1:
        return "alone"
    areas = [batches[0][1]] * threads
    beside = cost_side_by_side(areas, threads=threads, costs=costs)
    return "here" if beside < cost_alone(areas, threads=threads, costs=costs) else "alone"
