"""The tensors of a checkpoint, checked against what an architecture expects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stonnx.checkpoint.stored import StoredTensor
from stonnx.errors import CheckpointError

__all__ = ["Parameters", "TensorSource", "match_tensors"]

_LEGACY_SUFFIXES = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
_LISTED = 8


class TensorSource(Protocol):
    """Named tensors; ``stonnx.checkpoint.Weights`` is one."""

    def names(self) -> tuple[str, ...]:
        """All tensor names."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        ...

    def get(self, name: str) -> NDArray[np.float32]:
        """A tensor as float32."""
        ...

    def stored(self, name: str) -> StoredTensor:
        """A tensor in the type in which it is stored."""
        ...

    def dtype(self, name: str) -> str:
        """The type in which a tensor is stored, such as ``float16``, without reading it."""
        ...


@dataclass(frozen=True)
class Parameters:
    """Tensors under the architecture's own names.

    Attributes:
        source: Where the values are.
        names: Architecture name to the name in ``source``.
        unused: Tensors of ``source`` that the architecture does not use, sorted.
    """

    source: TensorSource
    names: Mapping[str, str]
    unused: tuple[str, ...]

    def get(self, name: str) -> NDArray[np.float32]:
        """A tensor, float32, in the shape that the architecture expects."""
        return self.source.get(self.names[name])

    def stored(self, name: str) -> StoredTensor:
        """A tensor in the type in which the checkpoint has it, for graphs that take halves as they are."""
        return self.source.stored(self.names[name])

    def dtype(self, name: str) -> str:
        """The type in which the checkpoint has a tensor, such as ``float16``, without reading it."""
        return self.source.dtype(self.names[name])


def match_tensors(
    source: TensorSource, expected: Mapping[str, tuple[int, ...]], *, prefixes: Iterable[str]
) -> Parameters:
    """Find every expected tensor, under the first of ``prefixes`` that fits.

    Args:
        source: The checkpoint's tensors.
        expected: Shape by name.
        prefixes: What may stand before the names, such as ``""`` and ``"bert."``.

    Raises:
        CheckpointError: Tensors are missing or have another shape; the message names them.
    """
    present = source.names()
    found = max((_match(frozenset(present), expected, prefix) for prefix in prefixes), key=len)
    missing = [name for name in expected if name not in found]
    misshaped = [
        f"{found[name]} has shape {source.shape(found[name])}, expected {shape}"
        for name, shape in expected.items()
        if name in found and source.shape(found[name]) != shape
    ]
    if missing or misshaped:
        parts = []
        if missing:
            parts.append(f"{len(missing)} tensors are missing: {_some(missing)}")
        if misshaped:
            parts.append(f"{len(misshaped)} tensors have the wrong shape: {_some(misshaped)}")
        raise CheckpointError(
            "The weights do not fit config.json: " + "; ".join(parts) + ".",
            hint="Check that config.json and the weights belong to the same model.",
        )
    return Parameters(source, found, tuple(sorted(set(present) - set(found.values()))))


def _match(present: frozenset[str], expected: Mapping[str, tuple[int, ...]], prefix: str) -> dict[str, str]:
    found = {}
    for name in expected:
        for candidate in (prefix + name, prefix + _legacy(name)):
            if candidate in present:
                found[name] = candidate
                break
    return found


def _legacy(name: str) -> str:
    """The name that checkpoints converted from TensorFlow use for a layer norm."""
    for suffix, old in _LEGACY_SUFFIXES.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix) + old
    return name


def _some(items: Sequence[str]) -> str:
    rest = len(items) - _LISTED
    return ", ".join(items[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
