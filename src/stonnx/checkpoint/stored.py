"""A tensor in the type in which a checkpoint stores it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stonnx.errors import CheckpointError

__all__ = ["FloatType", "StoredTensor", "as_float32", "check_finite", "float_type"]

FloatType = Literal["float16", "bfloat16", "float32", "float64"]

_EXPONENTS: dict[FloatType, np.uint16] = {"float16": np.uint16(0x7C00), "bfloat16": np.uint16(0x7F80)}
_CHUNK = 1 << 20  # numbers that are looked at together: a mask of the largest tensor would be a quarter of it


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as it is stored.

    Attributes:
        dtype: Type of the numbers.
        values: The numbers in this type, read-only where they are a view of the file. NumPy has no bfloat16: its
            numbers are uint16, each the upper half of a float32.
    """

    dtype: FloatType
    values: NDArray[Any]


def float_type(name: str) -> FloatType | None:
    """The type of this name; None for what is no floating-point type."""
    return next((known for known in get_args(FloatType) if known == name), None)


def as_float32(tensor: StoredTensor) -> NDArray[np.float32]:
    """The numbers as float32, without a copy where they are; a float64 beyond its range becomes infinite."""
    if tensor.dtype == "bfloat16":
        wide = tensor.values.astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    with np.errstate(over="ignore"):
        return tensor.values.astype(np.float32, copy=False)


def check_finite(name: str, tensor: StoredTensor) -> None:
    """Refuse NaN and infinity: one NaN in the weights makes every vector NaN.

    Raises:
        CheckpointError: There is one; the message says how many.
    """
    flat = tensor.values.reshape(-1)
    finite = sum(_count_finite(flat[at : at + _CHUNK], tensor.dtype) for at in range(0, flat.size, _CHUNK))
    if finite != flat.size:
        raise CheckpointError(
            f"The tensor {name} is not finite (NaN or infinite) at {flat.size - finite:,} of {flat.size:,} places.",
            hint="The checkpoint is damaged, or its training diverged: download it again, or pass another one.",
        )


def _count_finite(values: NDArray[Any], dtype: FloatType) -> int:
    exponent = _EXPONENTS.get(dtype)
    if exponent is None:
        return int(np.count_nonzero(np.isfinite(values)))
    # The exponent of NaN and infinity is all ones; NumPy's own answer for halves takes ten times as long.
    return int(np.count_nonzero((values.view(np.uint16) & exponent) != exponent))
