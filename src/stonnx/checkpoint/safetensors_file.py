"""One safetensors file, memory-mapped. Format: https://github.com/huggingface/safetensors#format."""

from __future__ import annotations

import contextlib
import json
import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["SafetensorsFile"]

_FLOATS: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "F64": np.dtype("<f8"),
    "BF16": np.dtype("<u2"),
}

_LARGEST_HEADER_BYTES = 16 * 1024 * 1024  # some 100,000 tensors; real models have some hundreds
_MOST_DIMENSIONS = 32  # NumPy holds 64 at most; real weights have two
_LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class _Entry:
    dtype: str
    shape: tuple[int, ...]
    start: int  # bytes from the beginning of the file


class SafetensorsFile:
    """A safetensors file whose float32 tensors are handed out without a copy.

    Args:
        path: The file.

    Raises:
        CheckpointError: The file is damaged or truncated.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._entries = _read_entries(path)
            with path.open("rb") as stream:
                self._map: mmap.mmap | None = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as exc:
            raise CheckpointError(f"{path} cannot be read: {exc.strerror or exc}.", hint=_hint(path)) from exc

    def names(self) -> tuple[str, ...]:
        """Names of the tensors."""
        return tuple(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self._entries[name].shape

    def get(self, name: str) -> NDArray[np.float32]:
        """A tensor as float32; a read-only view of the file when it is stored so.

        Raises:
            CheckpointError: The file is closed.
            UnsupportedModelError: The tensor is not stored in a floating-point type.
        """
        entry = self._entries[name]
        if self._map is None:
            raise CheckpointError(f"{self._path} is closed.")
        dtype = _FLOATS.get(entry.dtype)
        if dtype is None:
            raise UnsupportedModelError(
                f"The tensor {name!r} of {self._path} is stored as {entry.dtype}; expected a floating-point type.",
                hint="Quantised checkpoints are not supported: pass the original model.",
            )
        count = math.prod(entry.shape)
        raw = np.frombuffer(self._map, dtype=dtype, count=count, offset=entry.start) if count else np.empty(0, dtype)
        return _as_float32(raw, bfloat16=entry.dtype == "BF16").reshape(entry.shape)

    def close(self) -> None:
        """Let go of the file; the mapping itself lives as long as an array uses it."""
        if self._map is not None:
            with contextlib.suppress(BufferError):
                self._map.close()
            self._map = None


def _as_float32(raw: NDArray[Any], *, bfloat16: bool) -> NDArray[np.float32]:
    if bfloat16:
        # A bfloat16 is the upper half of a float32.
        return (raw.astype(np.uint32) << 16).view(np.float32)
    # Engines expect aligned data; a header of odd length or a half-precision neighbour shifts it.
    if not raw.flags.aligned or raw.dtype != np.float32:
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which Weights refuses
            return raw.astype(np.float32)
    return raw


def _read_entries(path: Path) -> dict[str, _Entry]:
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > _LARGEST_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes; expected at most {_LARGEST_HEADER_BYTES}")
            header = json.loads(stream.read(length))
        # It checks the header: sizes, overlaps, holes, and that the file is as long as it says.
        with safe_open(path, framework="numpy") as checked:
            names = set(checked.keys())
    except (SafetensorError, ValueError, RecursionError) as exc:
        raise CheckpointError(f"{path} is damaged or incomplete: {exc}", hint=_hint(path)) from exc
    return {name: _entry(path, name, header[name], 8 + length) for name in header if name in names}


def _entry(path: Path, name: str, entry: dict[str, Any], start: int) -> _Entry:
    shape = tuple(entry["shape"])
    if len(shape) > _MOST_DIMENSIONS:
        raise CheckpointError(f"{path}: the tensor {name!r} has {len(shape)} dimensions; no model needs that.")
    return _Entry(entry["dtype"], shape, start + entry["data_offsets"][0])


def _hint(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            pointer = stream.read(len(_LFS_POINTER)) == _LFS_POINTER
    except OSError:
        return "Check that the file can be read."
    if pointer:
        return "The file is a Git LFS pointer: fetch the weights with `git lfs pull`."
    return "Download the model again; the file may be a partial download."
