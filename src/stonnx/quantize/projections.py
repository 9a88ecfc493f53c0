"""From statistics and weights to quantised projections, and how far each is from the original."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stonnx.graph.parameters import Parameters
from stonnx.graph.quantized import InputRange, QuantizedMatrix, QuantizedProjection
from stonnx.quantize.calibration import Observation
from stonnx.quantize.ranges import Preparation, choose_range, mean_step_energy, per_token, unbalanced
from stonnx.quantize.rounding import compensated
from stonnx.quantize.splitting import lay_out
from stonnx.quantize.statistics import InputStatistics, compensation_factor

__all__ = ["Candidate", "quantize_projections"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A quantised projection and what it costs.

    Attributes:
        site: The weight name of the projection's first map.
        projection: The integers, and the cheapest way to quantise their input.
        closer: The same, with an input that is quantised per token, or balanced first.
        noise: Energy of the error of ``projection`` over the energy of what it is added to, on the calibration texts:
            the products, and the residual where there is one.
        closer_noise: The same of ``closer``.
    """

    site: str
    projection: QuantizedProjection
    closer: QuantizedProjection
    noise: float
    closer_noise: float

    @property
    def weights(self) -> int:
        """How many weights there are: multiplications per token."""
        return sum(matrix.values.size for matrix in self.projection.matrices)

    @property
    def activations(self) -> int:
        """How many numbers per token go in and come out."""
        matrices = self.projection.matrices
        return len(matrices[0].values) + sum(len(matrix.scales) for matrix in matrices)


def quantize_projections(observation: Observation, parameters: Parameters) -> Iterator[Candidate]:
    """Quantise every projection of a model, one after the other.

    Args:
        observation: From ``observe``.
        parameters: The encoder's tensors.

    Yields:
        The projections, in graph order.
    """
    residual = 0.0
    for site, block in observation.projections.items():
        statistics = observation.statistics[site]
        if block.source == "norm":  # what is projected here is also the residual of the projection that follows
            residual = float(np.trace(statistics.energy))
        matrices = [np.ascontiguousarray(parameters.get(linear.weight).T) for linear in block.linears]
        around = 0.0 if block.source == "norm" else residual
        yield _candidate(site, statistics, matrices, block.lower_bound, around)


def _candidate(
    site: str,
    statistics: InputStatistics,
    matrices: Sequence[NDArray[np.float32]],
    lower_bound: float | None,
    around: float,
) -> Candidate:
    """Balance and round; ``around`` is the energy of what the products are added to."""
    balanced = _quantized(statistics, matrices, choose_range(statistics, matrices, lower_bound))
    if lower_bound is None:
        projection, closer = balanced, replace(balanced, input=per_token(statistics, balanced.input.multipliers))
    else:  # balancing and splitting what an activation gives takes passes of its own, and is not always worth them
        projection, closer = _quantized(statistics, matrices, unbalanced(statistics, lower_bound)), balanced
    noise, closer_noise = (_noise(statistics, matrices, option, around) for option in (projection, closer))
    return Candidate(site=site, projection=projection, closer=closer, noise=noise, closer_noise=closer_noise)


def _quantized(
    statistics: InputStatistics, matrices: Sequence[NDArray[np.float32]], prepared: Preparation
) -> QuantizedProjection:
    """The rounded products of an input that is prepared in that way."""
    statistics, matrices = _balanced(statistics, matrices, prepared.range)
    rows, shares = lay_out(prepared.copies, len(statistics.low))
    order, factor = compensation_factor(statistics.take(rows))
    rounded = []
    for matrix in matrices:
        values, scales = compensated(matrix[rows] * shares[:, None], order, factor)
        rounded.append(QuantizedMatrix(values=values, scales=scales))
    return QuantizedProjection(input=prepared.range, matrices=tuple(rounded), copies=rows[len(statistics.low) :])


def _balanced(
    statistics: InputStatistics, matrices: Sequence[NDArray[np.float32]], how: InputRange
) -> tuple[InputStatistics, Sequence[NDArray[np.float32]]]:
    """The input times the multipliers of its range, and the matrices over them."""
    multipliers = how.multipliers
    if multipliers is None:
        return statistics, matrices
    return statistics.scaled(multipliers), [matrix / multipliers[:, None] for matrix in matrices]


def _noise(
    statistics: InputStatistics,
    matrices: Sequence[NDArray[np.float32]],
    projection: QuantizedProjection,
    around: float,
) -> float:
    """Energy of the error over that of the products and ``around``; inputs err uniformly within a step."""
    statistics, matrices = _balanced(statistics, matrices, projection.input)
    step_energy = statistics.tokens * mean_step_energy(statistics, projection.input)
    signal, error = around, 0.0
    for matrix, integers in zip(matrices, projection.matrices, strict=True):
        found = (integers.values * integers.scales).astype(np.float32)
        width = projection.width
        np.add.at(found, projection.copies, found[width:])
        difference = matrix - found[:width]
        signal += _energy(matrix, statistics.energy)
        error += _energy(difference, statistics.energy) + step_energy * float(np.square(matrix, dtype=np.float64).sum())
    return error / signal if signal > 0 else 0.0


def _energy(matrix: NDArray[np.float32], inputs: NDArray[np.float32]) -> float:
    """‖X M‖² from XᵀX."""
    return float(np.einsum("ij,ij->", inputs @ matrix, matrix, dtype=np.float64))
