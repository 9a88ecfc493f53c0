"""Which projections stay in float32: as few as the wanted fidelity allows, by measured drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stonnx.artifact import Fidelity
from stonnx.artifact.fidelity_class import classify, keeps
from stonnx.artifact.manifest import FidelityClass

__all__ = ["Selection", "select_float"]

Measure = Callable[[frozenset[str]], Fidelity]
"""The fidelity of the model when these projections stay in float32."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What stays in float32, and what that gives.

    Attributes:
        sites: Projections that stay in float32.
        fidelity: Measured against the float32 graph on texts that calibration never saw.
        reached: The class of that; None when it is below all of them.
    """

    sites: frozenset[str]
    fidelity: Fidelity
    reached: FidelityClass | None


def select_float(ranked: Sequence[str], measure: Measure, *, wanted: FidelityClass, most: int) -> Selection:
    """Keep the noisiest projections in float32 until the class is reached, as few as a bisection finds.

    Args:
        ranked: The projections, noisiest first.
        measure: Measures one choice; it is asked about ``log2(most)`` times.
        wanted: The class to reach.
        most: Largest number of projections that may stay in float32.

    Returns:
        The smallest choice found that reaches the class; where ``most`` does not, the choice without any.
    """

    def attempt(count: int) -> Selection:
        sites = frozenset(ranked[:count])
        fidelity = measure(sites)
        return Selection(sites=sites, fidelity=fidelity, reached=classify(fidelity))

    none = attempt(0)
    if keeps(none.reached, wanted) or most < 1:
        return none
    best = attempt(most)
    if not keeps(best.reached, wanted):
        return none
    too_few, enough = 0, most
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        found = attempt(middle)
        if keeps(found.reached, wanted):
            best, enough = found, middle
        else:
            too_few = middle
    return best
