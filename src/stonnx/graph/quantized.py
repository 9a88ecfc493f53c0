"""What a quantised dialect needs to know of a model: integers, scales and zero points, by projection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FixedRange",
    "InputRange",
    "QuantizedMatrix",
    "QuantizedProjection",
    "QuantizedProjections",
    "ScalePerToken",
]


@dataclass(frozen=True, kw_only=True)
class QuantizedMatrix:
    """``W ≈ values * scales``.

    Attributes:
        values: int8, shape (in, out).
        scales: One per column, float32, shape (out,).
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class FixedRange:
    """One range for the whole input, fixed at convert time: ``q = round(x * multipliers / scale) + zero_point``.

    Attributes:
        multipliers: Balance the components before they are quantised, float32, shape (in,), all positive; the
            matrices make up for them. None for none.
        scale: One step of the quantised input, positive.
        zero_point: The integer that stands for 0, 0 to 255.
    """

    multipliers: NDArray[np.float32] | None
    scale: float
    zero_point: int


@dataclass(frozen=True, kw_only=True)
class ScalePerToken:
    """Each token's own scale around one zero point: ``q = round(x * multipliers / scale) + zero_point``.

    Attributes:
        multipliers: As in ``FixedRange``; none above 1 where there is a lower bound, so that it holds after them too.
        zero_point: The integer that stands for 0, 0 to 254; a token's scale is the smallest with which its lowest
            and its highest component fit into uint8.
        lower_bound: No component is below, at most 0: it stands in for a token's lowest. None where
            nothing is known.
    """

    multipliers: NDArray[np.float32] | None
    zero_point: int
    lower_bound: float | None = None


InputRange = FixedRange | ScalePerToken
"""How an input becomes uint8."""


@dataclass(frozen=True, kw_only=True)
class QuantizedProjection:
    """The products of one ``Projection``.

    Attributes:
        input: How the common input becomes uint8.
        matrices: One per map of the projection, in order.
        copies: Components whose integers are repeated after all components, as often as they are named here, int64,
            shape (copies,); the matrices have a row for each.
    """

    input: InputRange
    matrices: tuple[QuantizedMatrix, ...]
    copies: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def width(self) -> int:
        """Components of the input, without the copies."""
        return len(self.matrices[0].values) - len(self.copies)


QuantizedProjections = Mapping[str, QuantizedProjection]
"""By the projection's site; what is absent stays in float32."""
