"""How many rows the table has that a graph looks token ids up in.

The manifest does not say it, and engines do not look: for an id beyond the table ONNX Runtime fails in the middle of
a run, and OpenVINO answers with a vector. The graph file says it, in the shape of the initializer that the input
``input_ids`` gathers from, in portable and fused graphs alike.

Field numbers are those of ``onnx.proto`` (a test compares the answer with the installed onnx package's).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from stonnx.artifact.wire import Buffer, DamagedError, Field, fields
from stonnx.errors import ArtifactError

__all__ = ["token_rows"]

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OP = 1, 4
_TENSOR_DIMS, _TENSOR_NAME = 1, 8

_IDS = b"input_ids"
# Operators that look ids up: which of their inputs is the table, and which the ids.
_LOOKUPS = {b"Gather": (0, 1), b"EmbedLayerNormalization": (2, 0)}


def token_rows(path: Path) -> int | None:
    """Rows of the smallest table that ``input_ids`` is looked up in; the weights are not read.

    Args:
        path: An ONNX file.

    Returns:
        None where the graph looks ids up in another way: in a table that is computed, or after a computation.

    Raises:
        ArtifactError: The file cannot be read, or is truncated or damaged.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            parts = [
                part for graph in _inner(data, Field(0, None, 0, len(data)), _MODEL_GRAPH) for part in _all(data, graph)
            ]
            tables = set(_tables(data, parts))
            return min(_first_dimensions(data, parts, tables), default=None)
    except OSError as exc:
        raise ArtifactError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    except (DamagedError, ValueError) as exc:
        raise ArtifactError(f"{path}: truncated or damaged ONNX ({exc}).", hint="Convert the model again.") from exc


def _tables(data: Buffer, parts: list[Field]) -> Iterator[bytes]:
    """Names of what ``input_ids`` is looked up in."""
    for part in parts:
        # Few nodes hold the name anywhere: the others are not taken apart.
        if part.number != _GRAPH_NODE or data.find(_IDS, part.start, part.end) < 0:
            continue
        operator = b"".join(_bytes(data, part, _NODE_OP))
        inputs = _bytes(data, part, _NODE_INPUT)
        table, ids = _LOOKUPS.get(operator, (0, 0))
        if operator in _LOOKUPS and len(inputs) > max(table, ids) and inputs[ids] == _IDS:
            yield inputs[table]


def _first_dimensions(data: Buffer, parts: list[Field], names: set[bytes]) -> Iterator[int]:
    if not names:
        return
    for part in parts:
        if part.number == _GRAPH_INITIALIZER and names & set(_bytes(data, part, _TENSOR_NAME)):
            yield from _dimensions(data, part)[:1]


def _dimensions(data: Buffer, tensor: Field) -> list[int]:
    """The shape, which protobuf may write one number at a time or packed."""
    found: list[int] = []
    for part in fields(data, tensor.start, tensor.end):
        if part.number == _TENSOR_DIMS and part.value is not None:
            found.append(part.value)
        elif part.number == _TENSOR_DIMS:
            # A packed list is a row of varints: each is read as the value of a field of its own.
            packed = b"".join(b"\x08" + number for number in _varints(data[part.start : part.end]))
            found.extend(field.value for field in fields(packed, 0, len(packed)) if field.value is not None)
    return found


def _varints(data: bytes) -> Iterator[bytes]:
    start = 0
    for position, byte in enumerate(data):
        if byte < 0x80:  # the last byte of a number
            yield data[start : position + 1]
            start = position + 1


def _all(data: Buffer, span: Field) -> Iterator[Field]:
    return (part for part in fields(data, span.start, span.end) if part.value is None)


def _inner(data: Buffer, span: Field, number: int) -> Iterator[Field]:
    return (part for part in _all(data, span) if part.number == number)


def _bytes(data: Buffer, span: Field, number: int) -> list[bytes]:
    return [data[part.start : part.end] for part in _inner(data, span, number)]
