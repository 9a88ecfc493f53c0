"""Which fidelity class the figures of a comparison stand for, and how sure that is.

The mean cosine (of a reranker: the mean difference of scores) and the overlap of neighbours (of rankings) are means
over a sample, and other texts give other means. So a class changes only where the figures say so: the one that a
variant has stands unless a mean misses its bound by more than two standard errors, which chance alone does about one
time in forty; a closer one is found only where the means keep its bounds with three to spare. The lowest cosine and
the largest difference have no error: what makes them is a text, or a pair, that can be looked at.
benchmarks/class_noise.py shows how often that still goes another way. For example::

    settled_class(compare(vectors, reference), promised="high")  # "high"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from stonnx.artifact import keeps
from stonnx.artifact.fidelity_class import BOUNDS, AnyFidelity, MeasuredClass, class_failures
from stonnx.artifact.manifest import FidelityClass

__all__ = ["Compared", "broken_bounds", "is_sure", "settled_class"]

_TO_LEAVE = 2.0
_TO_GAIN = 3.0


class Compared(Protocol):
    """The figures of a comparison, and how sure its means are."""

    @property
    def fidelity(self) -> AnyFidelity:
        """The figures."""

    @property
    def errors(self) -> Mapping[str, float]:
        """The standard errors of those figures that are means, by name."""


def settled_class(found: Compared, *, promised: FidelityClass) -> MeasuredClass | None:
    """The closest class that the figures stand for; None for none of them.

    Args:
        found: The figures and their standard errors.
        promised: The class that the variant has so far; it takes evidence to leave it, in either direction.
    """
    return next((name for name in BOUNDS if not broken_bounds(found, name, promised=promised)), None)


def broken_bounds(found: Compared, name: MeasuredClass, *, promised: FidelityClass) -> tuple[str, ...]:
    """One sentence per figure that speaks against a class; empty when the class is kept.

    Args:
        found: The figures and their standard errors.
        name: The class in question.
        promised: The class that the variant has so far.
    """
    errors = _TO_LEAVE if keeps(promised, name) else -_TO_GAIN
    return class_failures(found.fidelity, name, allowance=_scaled(found.errors, errors))


def is_sure(found: Compared, measured: FidelityClass | None) -> bool:
    """Whether other texts would hardly give another class: no mean is within two standard errors of a bound.

    Args:
        found: The figures and their standard errors.
        measured: The class that they were taken for; ``exact`` holds for each text, so it is always sure.
    """
    if measured == "exact":
        return True
    return _class_at(found, -_TO_LEAVE) == _class_at(found, _TO_LEAVE) == measured


def _class_at(found: Compared, errors: float) -> MeasuredClass | None:
    """The closest class if means may miss its bounds by so many standard errors."""
    allowance = _scaled(found.errors, errors)
    return next((name for name in BOUNDS if not class_failures(found.fidelity, name, allowance=allowance)), None)


def _scaled(errors: Mapping[str, float], times: float) -> dict[str, float]:
    return {name: times * error for name, error in errors.items()}
