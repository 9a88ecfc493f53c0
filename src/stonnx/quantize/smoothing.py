"""Balances an input and the weights that it is multiplied with, so that both can be rounded well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["smoothing_multipliers"]


def smoothing_multipliers(
    largest: NDArray[np.float32], weights: NDArray[np.float32], *, strength: float
) -> NDArray[np.float32]:
    """What to multiply the inputs with; each matrix row is divided by the same, so the product stays.

    SmoothQuant (Xiao et al. 2022, arXiv:2211.10438), formula 4, scaled to a geometric mean of 1.

    Args:
        largest: Largest absolute value of each component, float32, shape (in,).
        weights: Largest absolute weight that each component is multiplied with, float32, shape (in,).
        strength: The exponent α: 0 balances the weights alone, 1 the inputs alone.

    Returns:
        float32, shape (in,), all positive and finite.
    """
    # A component that is always 0, or whose weights are, needs no balance: it is treated as the smallest of the others.
    logs = strength * np.log(_positive(largest)) - (1 - strength) * np.log(_positive(weights))
    multipliers: NDArray[np.float32] = np.exp(logs.mean() - logs).astype(np.float32)
    return multipliers


def _positive(values: NDArray[np.float32]) -> NDArray[np.float64]:
    present = values[values > 0]
    floor = float(present.min()) if len(present) else 1.0
    return np.maximum(values.astype(np.float64), floor)
