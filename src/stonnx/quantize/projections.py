"""From statistics and weights to quantised projections, and how far each is from the original."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stonnx.graph.blocks import Projection
from stonnx.graph.parameters import Parameters
from stonnx.graph.quantized import InputRange, QuantizedMatrix, QuantizedProjection
from stonnx.quantize.calibration import Observation
from stonnx.quantize.ranges import Preparation, choose_range, mean_input_error, per_token, refit, unbalanced
from stonnx.quantize.rounding import compensated
from stonnx.quantize.splitting import lay_out
from stonnx.quantize.statistics import InputStatistics, compensation_factor, join

__all__ = ["Candidate", "quantize_projections"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A quantised projection and what it costs.

    Attributes:
        site: The projection's site.
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

    Layers that share their weights share the integers too: these are rounded once, for the inputs of all sites
    together. How an input becomes uint8 stays each site's own.

    Args:
        observation: From ``observe``.
        parameters: The encoder's tensors.

    Yields:
        The projections, in graph order.
    """
    residual = 0.0
    sharing = _sites_by_weights(observation)
    rounded: dict[tuple[str, ...], _Options] = {}
    for site, block in observation.projections.items():
        statistics = observation.statistics[site]
        if block.begins_block:  # what is projected here is also the residual of the projection that follows
            residual = float(np.trace(statistics.energy))
        matrices = [np.ascontiguousarray(parameters.get(linear.weight).T) for linear in block.linears]
        weights = _weights(block)
        if weights not in rounded:
            joined = join([observation.statistics[other] for other in sharing[weights]])
            rounded[weights] = _options(joined, matrices, block.lower_bound)
        options = rounded[weights] if len(sharing[weights]) == 1 else rounded[weights].fitted(statistics)
        around = 0.0 if block.begins_block else residual
        noise, closer_noise = (_noise(statistics, matrices, option, around) for option in options)
        yield Candidate(
            site=site, projection=options.projection, closer=options.closer, noise=noise, closer_noise=closer_noise
        )


class _Options(NamedTuple):
    """A projection in its cheapest form, and computed more closely."""

    projection: QuantizedProjection
    closer: QuantizedProjection

    def fitted(self, statistics: InputStatistics) -> _Options:
        """The same integers, with the input ranges of one site of several that share them."""
        projection, closer = (replace(option, input=refit(option.input, statistics)) for option in self)
        return _Options(projection, closer)


def _weights(block: Projection) -> tuple[str, ...]:
    return tuple(linear.weight for linear in block.linears)


def _sites_by_weights(observation: Observation) -> dict[tuple[str, ...], list[str]]:
    """Which sites share their weights."""
    found: dict[tuple[str, ...], list[str]] = {}
    for site, block in observation.projections.items():
        found.setdefault(_weights(block), []).append(site)
    return found


def _options(
    statistics: InputStatistics, matrices: Sequence[NDArray[np.float32]], lower_bound: float | None
) -> _Options:
    """Balance and round."""
    balanced = _quantized(statistics, matrices, choose_range(statistics, matrices, lower_bound))
    if lower_bound is None:
        return _Options(balanced, replace(balanced, input=per_token(statistics, balanced.input.multipliers)))
    # Balancing and splitting what an activation gives takes passes of its own, and is not always worth them.
    return _Options(_quantized(statistics, matrices, unbalanced(statistics, lower_bound)), balanced)


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
    input_error = statistics.tokens * mean_input_error(statistics, projection.input)
    signal, error = around, 0.0
    for matrix, integers in zip(matrices, projection.matrices, strict=True):
        found = (integers.values * integers.scales).astype(np.float32)
        width = projection.width
        np.add.at(found, projection.copies, found[width:])
        difference = matrix - found[:width]
        signal += _energy(matrix, statistics.energy)
        error += _energy(difference, statistics.energy) + input_error * float(np.square(matrix, dtype=np.float64).sum())
    return error / signal if signal > 0 else 0.0


def _energy(matrix: NDArray[np.float32], inputs: NDArray[np.float32]) -> float:
    """‖X M‖² from XᵀX."""
    return float(np.einsum("ij,ij->", inputs @ matrix, matrix, dtype=np.float64))
