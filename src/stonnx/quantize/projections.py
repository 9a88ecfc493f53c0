"""From statistics and weights to quantised projections, and how far each is from the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stonnx.graph.blocks import Projection
from stonnx.graph.parameters import Parameters
from stonnx.graph.quantized import QuantizedMatrix, QuantizedProjection
from stonnx.quantize.ranges import (
    Preparation,
    choose_range,
    mean_input_error,
    per_token,
    refit,
    unbalanced,
    weight_energies,
)
from stonnx.quantize.rounding import compensated
from stonnx.quantize.splitting import lay_out
from stonnx.quantize.statistics import InputStatistics, compensate_for, join

__all__ = ["Candidate", "quantize_layer"]


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


def quantize_layer(
    projections: Mapping[str, Projection], statistics: Mapping[str, InputStatistics], parameters: Parameters
) -> tuple[Candidate, ...]:
    """Quantise the projections of a layer, or of all layers that share weights.

    Sites that share their weights share the integers too: these are rounded once, for the inputs of all of them
    together. How an input becomes uint8 stays each site's own. So layers that share weights have to come in one call.

    For example::

        candidates = quantize_layer(seen.projections, seen.statistics, blueprint.parameters)  # from observe
        int8 = {candidate.site: candidate.projection for candidate in candidates}

    Args:
        projections: By site, in graph order; the first begins a block (``Projection.begins_block``), as that of every
            layer does.
        statistics: The inputs of each, by site: ``energy`` float32, the rest small. They are not kept.
        parameters: The encoder's tensors.

    Returns:
        One candidate per projection, in the same order. They hold integers, scales and vectors, nothing larger.
    """
    residual = 0.0
    sharing = _sites_by_weights(projections)
    rounded: dict[tuple[str, ...], _Options] = {}
    found = []
    for site, block in projections.items():
        own = statistics[site]
        if block.begins_block:  # what is projected here is also the residual of the projection that follows
            residual = float(np.trace(own.energy))
        matrices = [parameters.get(linear.weight).T for linear in block.linears]
        matrix, widths = np.concatenate(matrices, axis=1), [part.shape[1] for part in matrices]
        weights = _weights(block)
        if weights not in rounded:
            joined = join([statistics[other] for other in sharing[weights]])
            rounded[weights] = _options(joined, matrix, widths, block.lower_bound)
        options = rounded[weights] if len(sharing[weights]) == 1 else rounded[weights].fitted(own, matrix)
        signal = _energy(matrix, own.energy) + (0.0 if block.begins_block else residual)
        found.append(
            Candidate(
                site=site,
                projection=options.projection.plan,
                closer=options.closer.plan,
                noise=_noise(own, matrix, options.projection, signal),
                closer_noise=_noise(own, matrix, options.closer, signal),
            )
        )
    return tuple(found)


class _Rounded(NamedTuple):
    """A quantised projection, and the energy of its products' error that comes from its weights."""

    plan: QuantizedProjection
    error: float

    def fitted(self, statistics: InputStatistics, matrix: NDArray[np.float32]) -> _Rounded:
        """The same integers, with the input range of one site of several that share them."""
        plan = replace(self.plan, input=refit(self.plan.input, statistics))
        return _Rounded(plan, _energy(matrix - _dequantised(plan), statistics.energy))


class _Options(NamedTuple):
    """A projection in its cheapest form, and computed more closely."""

    projection: _Rounded
    closer: _Rounded

    def fitted(self, statistics: InputStatistics, matrix: NDArray[np.float32]) -> _Options:
        """For one site of several that share the integers."""
        return _Options(*(option.fitted(statistics, matrix) for option in self))


def _weights(block: Projection) -> tuple[str, ...]:
    return tuple(linear.weight for linear in block.linears)


def _sites_by_weights(projections: Mapping[str, Projection]) -> dict[tuple[str, ...], list[str]]:
    """Which sites share their weights."""
    found: dict[tuple[str, ...], list[str]] = {}
    for site, block in projections.items():
        found.setdefault(_weights(block), []).append(site)
    return found


def _options(
    statistics: InputStatistics, matrix: NDArray[np.float32], widths: Sequence[int], lower_bound: float | None
) -> _Options:
    """Balance and round."""
    balanced = _round(statistics, matrix, widths, choose_range(statistics, matrix, lower_bound))
    if lower_bound is None:
        closer = replace(balanced.plan, input=per_token(statistics, balanced.plan.input.multipliers))
        return _Options(balanced, balanced._replace(plan=closer))
    # Balancing and splitting what an activation gives takes passes of its own, and is not always worth them.
    return _Options(_round(statistics, matrix, widths, unbalanced(statistics, lower_bound)), balanced)


def _round(
    statistics: InputStatistics, matrix: NDArray[np.float32], widths: Sequence[int], prepared: Preparation
) -> _Rounded:
    """The rounded products of an input that is prepared in that way, from matrices of these widths side by side."""
    width = len(matrix)
    multipliers = prepared.range.multipliers
    multipliers = np.ones(width, dtype=np.float32) if multipliers is None else multipliers
    rows, shares = lay_out(prepared.copies, width)
    balanced = matrix[rows] * (shares / multipliers[rows])[:, None]
    values, scales, error = compensated(balanced, compensate_for(statistics, rows, multipliers))
    ends = np.cumsum(widths)[:-1]
    matrices = tuple(
        QuantizedMatrix(values=np.ascontiguousarray(some), scales=own)
        for some, own in zip(np.split(values, ends, axis=1), np.split(scales, ends), strict=True)
    )
    return _Rounded(QuantizedProjection(input=prepared.range, matrices=matrices, copies=rows[width:]), error)


def _dequantised(plan: QuantizedProjection) -> NDArray[np.float32]:
    """What the integers stand for, the balance undone, float32, shape (in, out)."""
    rows = np.concatenate([matrix.values * matrix.scales for matrix in plan.matrices], axis=1)
    found = rows[: plan.width]
    np.add.at(found, plan.copies, rows[plan.width :])
    multipliers = plan.input.multipliers
    return found if multipliers is None else found * multipliers[:, None]


def _noise(statistics: InputStatistics, matrix: NDArray[np.float32], option: _Rounded, signal: float) -> float:
    """Energy of the error over ``signal``; inputs err uniformly within a step."""
    how = option.plan.input
    squares = 1.0 if how.multipliers is None else np.square(how.multipliers, dtype=np.float64)
    weights = float((weight_energies(matrix) / squares).sum())
    error = option.error + statistics.tokens * mean_input_error(statistics, how) * weights
    return error / signal if signal > 0 else 0.0


def _energy(matrix: NDArray[np.float32], inputs: NDArray[np.float32]) -> float:
    """‖X M‖² from XᵀX."""
    return float(np.einsum("ij,ij->j", inputs @ matrix, matrix).sum(dtype=np.float64))
