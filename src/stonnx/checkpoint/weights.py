"""Tensors of a checkpoint by name, without reading more than is asked for.

As float32, or in the type in which they are stored::

    with Weights.open(folder) as weights:
        array = weights.get("encoder.layer.0.output.dense.weight")
        half = weights.stored("encoder.layer.0.output.dense.weight")  # half.dtype, half.values
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from stonnx.checkpoint.pickled import PickledFile
from stonnx.checkpoint.safetensors_file import SafetensorsFile
from stonnx.checkpoint.source import SourceFolder
from stonnx.checkpoint.stored import StoredTensor, as_float32, check_finite
from stonnx.errors import CheckpointError

__all__ = ["Weights"]

# The order in which transformers looks for them.
_SINGLE_SAFE, _SHARDED_SAFE = "model.safetensors", "model.safetensors.index.json"
_SINGLE_PICKLED, _SHARDED_PICKLED = "pytorch_model.bin", "pytorch_model.bin.index.json"


class _TensorFile(Protocol):
    def names(self) -> tuple[str, ...]: ...
    def shape(self, name: str) -> tuple[int, ...]: ...
    def dtype(self, name: str) -> str: ...
    def get(self, name: str) -> StoredTensor: ...
    def close(self) -> None: ...


# The largest models have some hundreds; every shard is an open file.
_MOST_SHARDS = 500

_OpenFile = Callable[[Path], _TensorFile]


class Weights:
    """The tensors of one module folder, from one file or several shards.

    Arrays that are not converted are views of the memory-mapped file: read-only, and valid as long as something holds
    them, even after ``close``. Nothing is kept here: who lets go of an array before asking for the next one holds no
    more than the largest.

    Args:
        files: For each tensor name the open file that holds it.
    """

    def __init__(self, files: dict[str, _TensorFile]) -> None:
        self._files = files
        self._finite: set[tuple[str, str]] = set()

    @classmethod
    def open(cls, folder: SourceFolder, subfolder: str = "") -> Self:
        """Open ``model.safetensors``, its shards, or (with torch) ``pytorch_model.bin``.

        Args:
            folder: The model.
            subfolder: Sub-folder of the module, POSIX; "" for the root.

        Raises:
            CheckpointError: There are no weights, a file is missing, damaged, truncated or hostile,
                or a path leaves the folder.
            MissingExtraError: The weights are pickled and torch is not installed.
        """
        prefix = f"{subfolder}/" if subfolder else ""
        if folder.exists(prefix + _SINGLE_SAFE):
            return cls._whole(SafetensorsFile(folder.file(prefix + _SINGLE_SAFE)))
        if folder.exists(prefix + _SHARDED_SAFE):
            return cls._sharded(folder, prefix, _SHARDED_SAFE, SafetensorsFile)
        if folder.exists(prefix + _SINGLE_PICKLED):
            return cls._whole(PickledFile(folder.file(prefix + _SINGLE_PICKLED)))
        if folder.exists(prefix + _SHARDED_PICKLED):
            return cls._sharded(folder, prefix, _SHARDED_PICKLED, PickledFile)
        raise CheckpointError(
            f"{folder.path / subfolder} holds no weights: expected {_SINGLE_SAFE}, its shards, or {_SINGLE_PICKLED}.",
            hint="Download the model again, weights included; formats other than these are not read.",
        )

    @classmethod
    def _whole(cls, file: _TensorFile) -> Self:
        return cls(dict.fromkeys(file.names(), file))

    @classmethod
    def _sharded(cls, folder: SourceFolder, prefix: str, index: str, kind: _OpenFile) -> Self:
        weight_map = _weight_map(folder, prefix + index)
        shards: dict[str, _TensorFile] = {}
        files: dict[str, _TensorFile] = {}
        try:
            for shard in dict.fromkeys(weight_map.values()):
                shards[shard] = _open_shard(folder, prefix + shard, kind)
            holdings = {shard: frozenset(file.names()) for shard, file in shards.items()}
            for tensor, shard in weight_map.items():
                if tensor not in holdings[shard]:
                    path = folder.path / prefix / shard
                    raise CheckpointError(f"{path} lacks the tensor {tensor}, which the index lists.")
                files[tensor] = shards[shard]
        except BaseException:
            for file in shards.values():
                file.close()
            raise
        return cls(files)

    def names(self) -> tuple[str, ...]:
        """The tensor names, sorted."""
        return tuple(sorted(self._files))

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it.

        Raises:
            CheckpointError: There is no such tensor.
        """
        return self._file(name).shape(name)

    def get(self, name: str) -> NDArray[np.float32]:
        """A tensor as float32, in its own shape: a read-only view of the file where it is stored so.

        float16, bfloat16 and float64 are converted.

        Raises:
            CheckpointError: There is no such tensor, it holds a NaN or an infinite number, or the weights are closed.
            UnsupportedModelError: The tensor is not stored in a floating-point type.
        """
        tensor = self._file(name).get(name)
        if tensor.dtype == "float64":
            tensor = StoredTensor("float32", as_float32(tensor))
        self._check(name, tensor)
        return as_float32(tensor)

    def dtype(self, name: str) -> str:
        """Type in which a tensor is stored, without reading it.

        Returns:
            ``"float16"``, ``"bfloat16"``, ``"float32"`` or ``"float64"``; for any other type what the file calls it.

        Raises:
            CheckpointError: There is no such tensor.
        """
        return self._file(name).dtype(name)

    def stored(self, name: str) -> StoredTensor:
        """A tensor in the type in which it is stored: halves reach a graph as they are.

        Raises:
            CheckpointError: There is no such tensor, it holds a NaN or an infinite number, or the weights are closed.
            UnsupportedModelError: The tensor is not stored in a floating-point type.
        """
        tensor = self._file(name).get(name)
        self._check(name, tensor)
        return tensor

    def _check(self, name: str, tensor: StoredTensor) -> None:
        """Refuse what is not finite, once for each type: a finite float64 may be infinite as float32."""
        if (name, tensor.dtype) not in self._finite:
            check_finite(name, tensor)
            self._finite.add((name, tensor.dtype))

    def close(self) -> None:
        """Let go of the files. Arrays handed out stay valid."""
        for file in set(self._files.values()):
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _file(self, name: str) -> _TensorFile:
        try:
            return self._files[name]
        except KeyError:
            raise CheckpointError(f"The checkpoint has no tensor {name!r}.") from None


def _weight_map(folder: SourceFolder, index: str) -> dict[str, str]:
    weight_map = folder.read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(v, str) for v in weight_map.values()):
        raise CheckpointError(f"{folder.path / index} has no weight_map from tensor names to file names.")
    shards = len(set(weight_map.values()))
    if shards > _MOST_SHARDS:
        raise CheckpointError(f"{folder.path / index} lists {shards} files; expected at most {_MOST_SHARDS}.")
    return weight_map


def _open_shard(folder: SourceFolder, relative: str, kind: _OpenFile) -> _TensorFile:
    path = folder.file(relative)
    if not folder.exists(relative):
        raise CheckpointError(
            f"The shard {path} does not exist.", hint="Download the model again, all shards included."
        )
    return kind(path)
