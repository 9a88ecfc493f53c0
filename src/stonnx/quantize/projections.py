"""From statistics and weights to quantised projections, and how far each is from the original."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stonnx.graph.parameters import Parameters
from stonnx.graph.quantized import FixedRange, QuantizedMatrix, QuantizedProjection, RangePerToken
from stonnx.quantize.calibration import Observation
from stonnx.quantize.ranges import choose_range, mean_step_energy
from stonnx.quantize.rounding import compensated
from stonnx.quantize.statistics import InputStatistics, compensation_factor

__all__ = ["Candidate", "quantize_projections"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A quantised projection and what it costs.

    Attributes:
        site: The weight name of the projection's first map.
        projection: The integers.
        noise: Energy of the error over the energy of what it is added to, on the calibration texts: the products,
            and the residual where there is one.
    """

    site: str
    projection: QuantizedProjection
    noise: float


def quantize_projections(
    observation: Observation, parameters: Parameters, limits: Sequence[int]
) -> Iterator[tuple[Candidate, ...]]:
    """Quantise every projection of a model, one after the other.

    Args:
        observation: From ``observe``.
        parameters: The encoder's tensors.
        limits: Largest absolute weights to round to; what is computed once serves all of them.

    Yields:
        Per projection, in graph order, one candidate per limit.
    """
    residual = 0.0
    for site, block in observation.projections.items():
        statistics = observation.statistics[site]
        if block.source == "norm":  # what is projected here is also the residual of the projection that follows
            residual = float(np.trace(statistics.energy))
        matrices = [np.ascontiguousarray(parameters.get(linear.weight).T) for linear in block.linears]
        how = choose_range(statistics, matrices, block.lower_bound)
        if how.multipliers is not None:
            statistics = statistics.scaled(how.multipliers)
            matrices = [matrix / how.multipliers[:, None] for matrix in matrices]
        order, factor = compensation_factor(statistics)
        found = []
        for limit in limits:
            rounded = tuple(_round(matrix, order, factor, limit) for matrix in matrices)
            projection = QuantizedProjection(input=how, matrices=rounded)
            error, signal = _noise(matrices, rounded, statistics, how)
            signal += 0.0 if block.source == "norm" else residual
            noise = error / signal if signal > 0 else 0.0
            found.append(Candidate(site=site, projection=projection, noise=noise))
        yield tuple(found)


def _round(
    matrix: NDArray[np.float32], order: NDArray[np.int64], factor: NDArray[np.float32], limit: int
) -> QuantizedMatrix:
    integers, scales = compensated(matrix[order], factor, limit=limit)
    values = np.empty_like(integers)
    values[order] = integers
    return QuantizedMatrix(values=values, scales=scales)


def _noise(
    matrices: Sequence[NDArray[np.float32]],
    rounded: Sequence[QuantizedMatrix],
    statistics: InputStatistics,
    how: FixedRange | RangePerToken,
) -> tuple[float, float]:
    """Energy of the error and of the products; inputs err uniformly within a step, weights through XᵀX."""
    step_energy = statistics.tokens * mean_step_energy(statistics, how)
    signal = error = 0.0
    for matrix, integers in zip(matrices, rounded, strict=True):
        difference = matrix - integers.values * integers.scales
        signal += _energy(matrix, statistics.energy)
        error += _energy(difference, statistics.energy) + step_energy * float(np.square(matrix, dtype=np.float64).sum())
    return error, signal


def _energy(matrix: NDArray[np.float32], inputs: NDArray[np.float32]) -> float:
    """‖X M‖² from XᵀX."""
    return float(np.einsum("ij,ij->", inputs @ matrix, matrix, dtype=np.float64))
