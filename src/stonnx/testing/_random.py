"""Random tensors whose spread makes a wrong graph show: default initialisation would hide it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "random_matrix", "random_norm", "random_vector"]

Floats = NDArray[np.float32]


def random_matrix(rng: np.random.Generator, *shape: int) -> Floats:
    """About 1.5 times the usual fan-in scale, so that texts land well apart."""
    return (rng.standard_normal(shape) * 1.5 / math.sqrt(shape[-1])).astype(np.float32)


def random_vector(rng: np.random.Generator, size: int, *, around: float = 0.0) -> Floats:
    """Numbers near ``around``."""
    return (around + 0.1 * rng.standard_normal(size)).astype(np.float32)


def random_norm(prefix: str, size: int, rng: np.random.Generator) -> dict[str, Floats]:
    """The two tensors of a layer norm."""
    return {f"{prefix}.weight": random_vector(rng, size, around=1.0), f"{prefix}.bias": random_vector(rng, size)}
