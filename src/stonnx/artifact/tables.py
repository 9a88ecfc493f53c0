"""How large the tables are that a graph looks tokens and positions up in.

The manifest does not say it, and engines do not look: beyond a table ONNX Runtime fails in the middle of a run, and
OpenVINO answers with a vector. The graph file says it, in the shapes of the initializers: the input ``input_ids``
gathers from the one, and the other, of the same width, is sliced or gathered from by something else than token types.
That holds for portable and fused graphs alike.

Field numbers are those of ``onnx.proto`` (a test compares them with the installed onnx package).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stonnx.artifact.wire import Buffer, DamagedError, Field, fields
from stonnx.errors import ArtifactError

__all__ = ["TableSizes", "read_table_sizes"]

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP = 1, 2, 4
_TENSOR_DIMS, _TENSOR_INT64_DATA, _TENSOR_NAME, _TENSOR_RAW_DATA = 1, 7, 8, 9

_IDS, _TYPES = b"input_ids", b"token_type_ids"
_OPERATORS = (b"Gather", b"Slice", b"Add")


@dataclass(frozen=True, kw_only=True)
class TableSizes:
    """What the tables of a graph have room for.

    Attributes:
        tokens: Token ids from 0 to below this; None where ids are not looked up in a stored table.
        positions: Longest row, in tokens; None where there is no stored table of positions.
    """

    tokens: int | None
    positions: int | None


class _Node(NamedTuple):
    operator: bytes
    inputs: list[bytes]
    outputs: list[bytes]


def read_table_sizes(path: Path) -> TableSizes:
    """Find the tables in an ONNX file; their contents are not read.

    Raises:
        ArtifactError: The file cannot be read, or is truncated or damaged.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            graphs = _inner(data, Field(0, None, 0, len(data)), _MODEL_GRAPH)
            return _sizes(data, [part for graph in graphs for part in _all(data, graph)])
    except OSError as exc:
        raise ArtifactError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    except (DamagedError, ValueError) as exc:  # ValueError: an empty file
        raise ArtifactError(f"{path}: truncated or damaged ONNX ({exc}).", hint="Convert the model again.") from exc


def _sizes(data: Buffer, parts: list[Field]) -> TableSizes:
    nodes = list(_nodes(data, parts))
    lookups = [node for node in nodes if node.operator != b"Add" and len(node.inputs) > 1]
    tensors = {
        name: part for part in parts if part.number == _GRAPH_INITIALIZER for name in _bytes(data, part, _TENSOR_NAME)
    }
    shapes = {n.inputs[0]: _dimensions(data, tensors[n.inputs[0]]) for n in lookups if n.inputs[0] in tensors}
    by_ids = [shapes[n.inputs[0]] for n in lookups if n.inputs[1] == _IDS and n.inputs[0] in shapes]
    widths = {shape[1] for shape in by_ids if len(shape) == 2}
    longest = []
    for node in lookups:
        shape = shapes.get(node.inputs[0], [])
        if len(shape) != 2 or shape[1] not in widths or node.inputs[1] in (_IDS, _TYPES):
            continue
        if node.operator == b"Slice":
            longest.append(shape[0])
        else:  # positions count from 1, plus a constant (RoBERTa's padding id)
            longest.extend(shape[0] - 1 - offset for offset in _added(data, node.inputs[1], nodes, tensors))
    return TableSizes(
        tokens=min((shape[0] for shape in by_ids if shape), default=None), positions=min(longest, default=None)
    )


def _nodes(data: Buffer, parts: list[Field]) -> Iterator[_Node]:
    """The nodes that matter here."""
    for part in parts:
        # Few nodes hold one of the names anywhere: the others are not taken apart.
        if part.number == _GRAPH_NODE and any(data.find(name, part.start, part.end) >= 0 for name in _OPERATORS):
            operator = b"".join(_bytes(data, part, _NODE_OP))
            if operator in _OPERATORS:
                yield _Node(operator, _bytes(data, part, _NODE_INPUT), _bytes(data, part, _NODE_OUTPUT))


def _added(data: Buffer, name: bytes, nodes: list[_Node], tensors: dict[bytes, Field]) -> Iterator[int]:
    """The constant that the node adds whose output is ``name``; nothing where it is another kind of node."""
    for node in nodes:
        if node.operator == b"Add" and name in node.outputs:
            for constant in (tensors[value] for value in node.inputs if value in tensors):
                values = [int.from_bytes(raw, "little") for raw in _bytes(data, constant, _TENSOR_RAW_DATA)]
                yield from (values or _integers(data, constant, _TENSOR_INT64_DATA))[:1]


def _dimensions(data: Buffer, tensor: Field) -> list[int]:
    return _integers(data, tensor, _TENSOR_DIMS)


def _integers(data: Buffer, message: Field, number: int) -> list[int]:
    """A repeated integer, which protobuf may write one number at a time or packed."""
    found: list[int] = []
    for part in fields(data, message.start, message.end):
        if part.number == number and part.value is not None:
            found.append(part.value)
        elif part.number == number:
            # Packed, the numbers lie end to end: with a tag before each, they are fields again.
            tagged = b"".join(b"\x08" + varint for varint in _varints(data[part.start : part.end]))
            found.extend(item.value for item in fields(tagged, 0, len(tagged)) if item.value is not None)
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
