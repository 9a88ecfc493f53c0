"""The float32 weights of a model, read back from its artifact: the portable graph has all of them.

For example::

    weights = ArtifactWeights.open(artifact, encoder.expected_tensors())
    weights.get("encoder.layer.0.output.dense.weight")  # float32, as the checkpoint has it
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
import onnx
from numpy.typing import NDArray

from stonnx.artifact import Artifact
from stonnx.artifact.onnx_check import check_graphs
from stonnx.checkpoint.stored import StoredTensor
from stonnx.errors import ArtifactError, CheckpointError
from stonnx.graph.architectures.mpnet import rows_of_distances

__all__ = ["CONVERT", "PORTABLE", "ArtifactWeights"]

CONVERT = "'stonnx convert SOURCE OUT' makes an artifact with int8 from the original model."
"""The hint where an artifact does not give its model back."""

PORTABLE = "portable"
"""The variant to read from: nothing is folded into its weights, and nothing is left out."""
_Shape = tuple[int, ...]
_Restore = Callable[[NDArray[np.float32], _Shape], NDArray[np.float32]]


def _as_it_is(stored: NDArray[np.float32], shape: _Shape) -> NDArray[np.float32]:
    return stored.reshape(shape)


def _turned_back(stored: NDArray[np.float32], _: _Shape) -> NDArray[np.float32]:
    # In the order of the checkpoint in memory too: products of other layouts are rounded in another way.
    return np.ascontiguousarray(stored.T)


def _first_row(stored: NDArray[np.float32], shape: _Shape) -> NDArray[np.float32]:
    """A table of which the graph has one row: no graph of this model needs the others, so they may be the same."""
    return np.broadcast_to(stored, shape)  # takes no memory: nothing but config.json says how many rows there are


_TURNED = ".T"
_FORMS: Mapping[str, _Restore] = {_TURNED: _turned_back, "[0]": _first_row, "[distance]": rows_of_distances}
"""What ends the name of a tensor that a graph has in another form than the checkpoint."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a tensor lies, and what it is made of."""

    offset: int
    dims: _Shape
    shape: _Shape
    restore: _Restore

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + 4 * math.prod(self.dims)


class ArtifactWeights:
    """The tensors of an artifact's transformer under the names of its architecture: a ``TensorSource``.

    Args:
        path: The file of the weights.
        places: Where each tensor lies, by name.
    """

    def __init__(self, path: Path, places: Mapping[str, _Place]) -> None:
        self._path = path
        self._places = places

    @classmethod
    def open(cls, artifact: Artifact, expected: Mapping[str, tuple[int, ...]]) -> Self:
        """Read which tensors there are; their numbers are read when they are asked for.

        Args:
            artifact: The artifact, its hashes checked.
            expected: The shape of every tensor of the encoder, by name.

        Raises:
            ArtifactError: There is no portable graph, or it is damaged or of another make.
        """
        variant = next((variant for variant in artifact.manifest.variants if variant.name == PORTABLE), None)
        if variant is None:
            raise ArtifactError(f"{artifact.path} has no variant {PORTABLE!r} to read its weights from.", hint=CONVERT)
        check_graphs(artifact, variant)
        graph = onnx.load(artifact.file(variant.graph.file), load_external_data=False).graph
        places, files = {}, set()
        for tensor in graph.initializer:
            if tensor.data_location != onnx.TensorProto.EXTERNAL or tensor.data_type != onnx.TensorProto.FLOAT:
                continue
            where = {entry.key: entry.value for entry in tensor.external_data}
            files.add(where["location"])
            name, place = _place(tensor.name, tuple(tensor.dims), int(where.get("offset", "0")), expected)
            places[name] = place
        if len(files) != 1:
            raise ArtifactError(
                f"{artifact.path / variant.graph.file} keeps its weights in {len(files)} files, not in 1.", hint=CONVERT
            )
        (location,) = files
        return cls(artifact.file((PurePosixPath(variant.graph.file).parent / location).as_posix()), places)

    def names(self) -> tuple[str, ...]:
        """All tensor names, sorted."""
        return tuple(sorted(self._places))

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, as the checkpoint has it."""
        return self._place(name).shape

    def get(self, name: str) -> NDArray[np.float32]:
        """A tensor as float32: a read-only view of the file, or a copy where the graph has it in another form.

        Raises:
            CheckpointError: There is no such tensor.
            ArtifactError: The file cannot be read, ends before the tensor does, or has it in a shape that does not fit.
        """
        place = self._place(name)
        try:
            return self._read(place)
        except (OSError, ValueError, IndexError) as exc:  # the latter two: shapes do not fit
            raise ArtifactError(f"{self._path}: {name} cannot be read: {exc}.", hint=CONVERT) from exc

    def stored(self, name: str) -> StoredTensor:
        """The same: an artifact has every weight as float32."""
        return StoredTensor("float32", self.get(name))

    def dtype(self, name: str) -> str:
        """``float32``."""
        self._place(name)
        return "float32"

    def _read(self, place: _Place) -> NDArray[np.float32]:
        if min(place.dims, default=1) < 1 or place.end > self._path.stat().st_size:
            raise ValueError("it is not within the file")
        stored = np.memmap(self._path, dtype="<f4", mode="r", offset=place.offset, shape=place.dims)
        return place.restore(stored.view(np.ndarray), place.shape)

    def _place(self, name: str) -> _Place:
        try:
            return self._places[name]
        except KeyError:
            raise CheckpointError(f"The artifact has no tensor {name!r}.") from None


def _place(name: str, dims: _Shape, offset: int, expected: Mapping[str, _Shape]) -> tuple[str, _Place]:
    """The name of a tensor in the checkpoint, and its place."""
    form = next((form for form in _FORMS if name.endswith(form)), None)
    stem = name.removesuffix(form or "")
    if form == _TURNED:  # its shape is the graph's, so that it is held against config.json
        return stem, _Place(offset=offset, dims=dims, shape=dims[::-1], restore=_turned_back)
    if form is None or stem not in expected:
        return name, _Place(offset=offset, dims=dims, shape=dims, restore=_as_it_is)
    return stem, _Place(offset=offset, dims=dims, shape=expected[stem], restore=_FORMS[form])
