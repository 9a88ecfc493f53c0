"""Which fidelity class the figures of a comparison stand for, and how sure that is.

The mean cosine and the overlap of neighbours are means over a sample of texts, and other texts give other means. So
a class changes only where the figures say so: the one that a variant has stands unless a mean lies below its bound by
more than two standard errors, which chance alone does about one time in forty; a closer one is found only where the
means lie above its bounds by three. The lowest cosine has no error: what lowers it is a text that can be looked at.
benchmarks/class_noise.py shows how often that still goes another way.
"""

from __future__ import annotations

from stonnx.artifact import keeps
from stonnx.artifact.fidelity_class import BOUNDS, Bounds, MeasuredClass, class_failures
from stonnx.artifact.manifest import FidelityClass
from stonnx.verify.metrics import Comparison

__all__ = ["broken_bounds", "is_sure", "settled_class"]

_TO_LEAVE = 2.0
_TO_GAIN = 3.0


def settled_class(found: Comparison, *, promised: FidelityClass) -> MeasuredClass | None:
    """The closest class that the figures stand for; None for none of them.

    Args:
        found: The figures and their standard errors.
        promised: The class that the variant has so far; it takes evidence to leave it, in either direction.
    """
    return next((name for name in BOUNDS if not broken_bounds(found, name, promised=promised)), None)


def broken_bounds(found: Comparison, name: MeasuredClass, *, promised: FidelityClass) -> tuple[str, ...]:
    """One sentence per figure that speaks against a class; empty when the class is kept.

    Args:
        found: The figures and their standard errors.
        name: The class in question.
        promised: The class that the variant has so far.
    """
    errors = _TO_LEAVE if keeps(promised, name) else -_TO_GAIN
    return class_failures(found.fidelity, name, allowance=_allowance(found, errors))


def is_sure(found: Comparison, measured: FidelityClass | None) -> bool:
    """Whether other texts would hardly give another class: no mean is within two standard errors of a bound.

    Args:
        found: The figures and their standard errors.
        measured: The class that they were taken for; ``exact`` holds for each text, so it is always sure.
    """
    if measured == "exact":
        return True
    return _class_at(found, -_TO_LEAVE) == _class_at(found, _TO_LEAVE) == measured


def _class_at(found: Comparison, errors: float) -> MeasuredClass | None:
    """The closest class if figures may lie below its bounds by so many standard errors."""
    allowance = _allowance(found, errors)
    return next((name for name in BOUNDS if not class_failures(found.fidelity, name, allowance=allowance)), None)


def _allowance(found: Comparison, errors: float) -> Bounds:
    return Bounds(cosine_mean=errors * found.cosine_error, cosine_min=0.0, top10_overlap=errors * found.overlap_error)
