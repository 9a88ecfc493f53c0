"""What calibration knows about the inputs of a matrix product, and the factor that compensated rounding needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["InputStatistics", "compensation_factor", "join"]

# Of the mean energy. GPTQ's own code takes 0.01; with the tokens that stonnx calibrates on, ten times as much leaves
# less error on texts that calibration did not see (docs/decisions/0007-int8.md).
_DAMPING = 0.1
_TINY = 1e-30


@dataclass(frozen=True)
class InputStatistics:
    """The inputs of one projection over all calibration tokens.

    Attributes:
        energy: XᵀX, float32, shape (in, in), X being the inputs with one token per row.
        low: Smallest value per component, float32, shape (in,).
        high: Largest value per component, float32, shape (in,).
        tokens: How many tokens there were.
        sample: Some of the inputs themselves, float32, shape (at most a few hundred, in).
    """

    energy: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    tokens: int
    sample: NDArray[np.float32]

    def largest(self) -> NDArray[np.float32]:
        """Largest absolute value per component, float32, shape (in,)."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def scaled(self, multipliers: NDArray[np.float32]) -> InputStatistics:
        """The statistics of the same inputs times ``multipliers``, float32, shape (in,), all positive."""
        energy = self.energy * multipliers[:, None] * multipliers[None, :]
        return InputStatistics(
            energy, self.low * multipliers, self.high * multipliers, self.tokens, self.sample * multipliers
        )

    def take(self, index: NDArray[np.int64]) -> InputStatistics:
        """The statistics of an input whose components are those at ``index``, some of them repeatedly.

        Args:
            index: Components of this input, int64, shape (components of the other,).
        """
        return InputStatistics(
            self.energy[np.ix_(index, index)], self.low[index], self.high[index], self.tokens, self.sample[:, index]
        )


def join(parts: Sequence[InputStatistics]) -> InputStatistics:
    """The statistics of several inputs of one width as if they were one: those of layers that share a weight.

    Args:
        parts: At least one.
    """
    if len(parts) == 1:
        return parts[0]
    return InputStatistics(
        energy=np.sum([part.energy for part in parts], axis=0, dtype=np.float32),
        low=np.min([part.low for part in parts], axis=0),
        high=np.max([part.high for part in parts], axis=0),
        tokens=sum(part.tokens for part in parts),
        sample=np.concatenate([part.sample for part in parts]),
    )


def compensation_factor(statistics: InputStatistics) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The order of rounding, and the upper Cholesky factor of the inverse energy in that order.

    Returns:
        Rows by falling energy, int64, shape (in,), and the factor, float32, shape (in, in).
    """
    diagonal = np.diag(statistics.energy)
    order = np.argsort(-diagonal, kind="stable")
    energy = statistics.energy[np.ix_(order, order)].astype(np.float64)
    # Damping keeps the inverse finite where fewer tokens than components, or dead components, were seen.
    energy[np.diag_indices_from(energy)] += max(_DAMPING * float(diagonal.mean()), _TINY)
    # energy = R Rᵀ with an upper R, by the factor of the matrix read backwards; so energy⁻¹ = (R⁻¹)ᵀ R⁻¹. Inverting the
    # energy itself loses too many digits where single components outweigh the others a millionfold.
    backwards = np.linalg.cholesky(energy[::-1, ::-1])[::-1, ::-1]
    factor: NDArray[np.float32] = np.triu(np.linalg.inv(backwards)).astype(np.float32)
    return order, factor
