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

from stonnx.checkpoint.stored import FloatType, StoredTensor
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["SafetensorsFile"]

_FLOATS: dict[str, tuple[FloatType, np.dtype[Any]]] = {
    "F32": ("float32", np.dtype("<f4")),
    "F16": ("float16", np.dtype("<f2")),
    "F64": ("float64", np.dtype("<f8")),
    "BF16": ("bfloat16", np.dtype("<u2")),
}
_MOST_RESIDENT_BYTES = 64 * 1024 * 1024

_LARGEST_HEADER_BYTES = 16 * 1024 * 1024  # some 100,000 tensors; real models have some hundreds
_MOST_DIMENSIONS = 32  # NumPy holds 64 at most; real weights have two
_LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class _Entry:
    dtype: str
    shape: tuple[int, ...]
    start: int  # bytes from the beginning of the file


class SafetensorsFile:
    """A safetensors file whose tensors are handed out without a copy.

    Pages of the file that were read count as this process's memory until they are let go, so that happens from time
    to time. What was handed out stays valid: the system reads its pages again where they are asked for.

    Args:
        path: The file.

    Raises:
        CheckpointError: The file is damaged or truncated.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._resident_bytes = 0
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

    def dtype(self, name: str) -> str:
        """Type of a tensor: NumPy's name for a floating-point type, the file's own for any other."""
        code = self._entries[name].dtype
        return _FLOATS[code][0] if code in _FLOATS else code

    def get(self, name: str) -> StoredTensor:
        """A tensor as it is stored; its values are a read-only view of the file unless they are not aligned there.

        Raises:
            CheckpointError: The file is closed.
            UnsupportedModelError: The tensor is not stored in a floating-point type.
        """
        entry = self._entries[name]
        if self._map is None:
            raise CheckpointError(f"{self._path} is closed.")
        if entry.dtype not in _FLOATS:
            raise UnsupportedModelError(
                f"The tensor {name!r} of {self._path} is stored as {entry.dtype}; expected a floating-point type.",
                hint="Quantised checkpoints are not supported: pass the original model.",
            )
        kind, dtype = _FLOATS[entry.dtype]
        count = math.prod(entry.shape)
        self._make_room(self._map, count * dtype.itemsize)
        raw = np.frombuffer(self._map, dtype=dtype, count=count, offset=entry.start) if count else np.empty(0, dtype)
        # Engines expect aligned data; a header of odd length or a half-precision neighbour shifts it.
        return StoredTensor(kind, np.require(raw, requirements="A").reshape(entry.shape))

    def _make_room(self, mapped: mmap.mmap, size_bytes: int) -> None:
        """Let go of the pages that were read so far, once they and ``size_bytes`` more would be many."""
        self._resident_bytes += size_bytes
        if self._resident_bytes > _MOST_RESIDENT_BYTES and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)
            self._resident_bytes = size_bytes

    def close(self) -> None:
        """Let go of the file; the mapping itself lives as long as an array uses it."""
        if self._map is not None:
            with contextlib.suppress(BufferError):
                self._map.close()
            self._map = None


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
