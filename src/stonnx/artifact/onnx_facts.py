"""What an ONNX file refers to and offers, read without loading it.

Field numbers are those of ``onnx.proto`` (a test compares them with the installed onnx package).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stonnx.artifact.wire import Buffer, DamagedError, Field, fields
from stonnx.errors import ArtifactError

__all__ = ["MESSAGES", "ExternalData", "OnnxFacts", "Output", "read_onnx_facts"]

# Message name: field number to the name of the message in it. Every way from a model to a tensor.
MESSAGES: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}
_MODEL_GRAPH = 7
_NODE_OPERATOR, _NODE_DOMAIN = 4, 7
# Weights lie in a file of their own: the graph of two hundred layers is smaller, and has fewer parts.
_LARGEST_GRAPH_BYTES = 4 * 1024 * 1024
_MOST_PARTS = 200_000
# What runs by itself, beside the nodes of the main graph.
_PROGRAMS = {
    ("AttributeProto", 6): ("a graph inside a node",),
    ("AttributeProto", 11): ("a graph inside a node",),
    ("ModelProto", 20): ("graphs for training",),
    ("ModelProto", 25): ("functions",),
}
_GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 5, 11, 12
_TENSOR_NAME, _TENSOR_EXTERNAL_DATA = 8, 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR = 1
_TENSOR_TYPE_ELEMENT, _TENSOR_TYPE_SHAPE = 1, 2
_SHAPE_DIM, _DIM_VALUE = 1, 1


@dataclass(frozen=True)
class ExternalData:
    """Where the bytes of a tensor lie outside the ONNX file, as the file says it (unchecked)."""

    location: str
    offset: str
    length: str


@dataclass(frozen=True)
class Output:
    """A graph output: ONNX element type (1 is float32, 0 not declared) and static last dimension, or None."""

    element_type: int
    last_dimension: int | None


@dataclass
class OnnxFacts:
    """What ``read_onnx_facts`` finds.

    Attributes:
        external: External data of every tensor, in subgraphs, attributes and functions too, without repeats.
        inputs: Names of the inputs of the main graph.
        initializers: Names of its initializers; an input of the same name has a default.
        outputs: Its outputs by name.
        operators: Domain and name of every operator, wherever it stands.
        programs: What there is beside the nodes of the main graph: graphs inside nodes (loops and branches),
            functions, graphs for training; in words.
    """

    external: set[ExternalData] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)
    initializers: set[str] = field(default_factory=set)
    outputs: dict[str, Output] = field(default_factory=dict)
    operators: set[tuple[str, str]] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)


def read_onnx_facts(path: Path) -> OnnxFacts:
    """Walk an ONNX file; weights inside it are skipped, not read.

    Raises:
        ArtifactError: The file cannot be read, is too large for a graph, or is truncated or damaged.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST_GRAPH_BYTES:
            raise ArtifactError(f"{path} has {size:,} bytes; expected at most {_LARGEST_GRAPH_BYTES:,} for a graph.")
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _walk(data)
    except OSError as exc:
        raise ArtifactError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    except (DamagedError, ValueError) as exc:  # ValueError: an empty file, or a name that is not UTF-8
        raise ArtifactError(
            f"{path}: truncated or damaged ONNX ({exc}).", hint="Copy the artifact again, or convert the model again."
        ) from exc


def _walk(data: Buffer) -> OnnxFacts:
    facts = OnnxFacts()
    whole = Field(0, None, 0, len(data))
    pending, met = [("ModelProto", whole)], 0
    while pending:  # a stack, not recursion: a hostile file may nest as deep as it likes
        message, span = pending.pop()
        if message == "TensorProto":
            facts.external.update(_external_data(data, span))
            continue
        strings = {}
        for part in _parts(data, span):
            met += 1
            if met > _MOST_PARTS:
                raise DamagedError(f"it has more than {_MOST_PARTS:,} parts")
            if part.number in MESSAGES[message]:
                pending.append((MESSAGES[message][part.number], part))
            elif message == "NodeProto" and part.number in (_NODE_OPERATOR, _NODE_DOMAIN):
                strings[part.number] = _text(data, part)
            facts.programs.update(_PROGRAMS.get((message, part.number), ()))
        if message == "NodeProto":
            facts.operators.add((strings.get(_NODE_DOMAIN, ""), strings.get(_NODE_OPERATOR, "")))
    graphs = list(_inner(data, whole, _MODEL_GRAPH))
    if not graphs:
        raise DamagedError("it holds no graph")
    for graph in graphs:
        _describe(data, graph, facts)
    return facts


def _describe(data: Buffer, graph: Field, facts: OnnxFacts) -> None:
    """Inputs, initializers and outputs of a main graph."""
    readers: dict[int, Callable[[Field], None]] = {
        _GRAPH_INPUT: lambda part: facts.inputs.update(_strings(data, part, _VALUE_NAME)),
        _GRAPH_INITIALIZER: lambda part: facts.initializers.update(_strings(data, part, _TENSOR_NAME)),
        _GRAPH_OUTPUT: lambda part: facts.outputs.update(
            dict.fromkeys(_strings(data, part, _VALUE_NAME), _output(data, part))
        ),
    }
    for part in _parts(data, graph):
        if part.number in readers:
            readers[part.number](part)


def _external_data(data: Buffer, tensor: Field) -> Iterator[ExternalData]:
    entries: dict[str, str] = {}
    for part in _inner(data, tensor, _TENSOR_EXTERNAL_DATA):
        key = _last(data, part, _ENTRY_KEY)
        if key in entries:  # readers disagree about which of two counts
            raise DamagedError(f"external data: the key {key[:40]!r} is given twice")
        entries[key] = _last(data, part, _ENTRY_VALUE)
    if "location" in entries:
        yield ExternalData(entries["location"], entries.get("offset", "0"), entries.get("length", "0"))


def _output(data: Buffer, value: Field) -> Output:
    element_type, dimension = 0, None
    types = (kind for outer in _inner(data, value, _VALUE_TYPE) for kind in _inner(data, outer, _TYPE_TENSOR))
    for kind in types:
        element_type = next(
            (
                f.value
                for f in fields(data, kind.start, kind.end)
                if f.number == _TENSOR_TYPE_ELEMENT and f.value is not None
            ),
            0,
        )
        dims = [dim for shape in _inner(data, kind, _TENSOR_TYPE_SHAPE) for dim in _inner(data, shape, _SHAPE_DIM)]
        if dims:
            values = [f.value for f in fields(data, dims[-1].start, dims[-1].end) if f.number == _DIM_VALUE]
            dimension = values[-1] if values else None
    return Output(element_type, dimension)


def _parts(data: Buffer, span: Field) -> Iterator[Field]:
    """The length-delimited fields of the message in ``span``."""
    return (part for part in fields(data, span.start, span.end) if part.value is None)


def _inner(data: Buffer, span: Field, number: int) -> Iterator[Field]:
    return (part for part in _parts(data, span) if part.number == number)


def _strings(data: Buffer, span: Field, number: int) -> list[str]:
    return [_text(data, part) for part in _inner(data, span, number)]


def _text(data: Buffer, part: Field) -> str:
    return data[part.start : part.end].decode("utf-8")


def _last(data: Buffer, span: Field, number: int) -> str:
    """A string field that stands once; of several, protobuf takes the last."""
    return next(reversed(_strings(data, span, number)), "")
