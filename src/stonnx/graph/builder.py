"""Writes ONNX graphs node by node, with the large weights in one file that several graphs share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stonnx.artifact.operators import is_allowed

__all__ = ["CONTRIB", "OPSET", "ElementType", "GraphBuilder", "TensorFile", "WeightFile", "WeightOverlay"]

OPSET = 17
"""Standard operator set: the first with LayerNormalization, and one that old runtimes read."""
CONTRIB = "com.microsoft"
_IR_VERSION = 8
_INLINE_LIMIT_BYTES = 4096
_ALIGNMENT_BYTES = 4096  # a page, so that a runtime can map each tensor

Attribute = float | str | Sequence[int]

ElementType = Literal["float32", "float16", "bfloat16", "int8"]
"""What a stored tensor consists of; NumPy has no bfloat16, so its bits come as uint16."""

_ONNX_TYPES: Mapping[ElementType, int] = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "int8": TensorProto.INT8,
}


class TensorFile(Protocol):
    """Where graphs have their large weights: a ``WeightFile``, or several that are taken for one."""

    def tensor(
        self, name: str, load: Callable[[], NDArray[np.generic]], *, element: ElementType = "float32"
    ) -> TensorProto:
        """A tensor that refers to its bytes in a file; see ``WeightFile.tensor``."""
        ...


class WeightFile:
    """The external data file of an artifact; a tensor that two graphs use is written once.

    A tensor is identified by its name and its element type, so that a graph in float16 can lie beside one in float32.

    Args:
        path: The file to create, in the folder of the graphs.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("xb")
        self._name = path.name
        self._written: dict[tuple[str, ElementType], TensorProto] = {}

    def __enter__(self) -> Self:
        """Nothing to prepare: the file is open."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Close the file."""
        self._stream.close()

    def tensor(
        self, name: str, load: Callable[[], NDArray[np.generic]], *, element: ElementType = "float32"
    ) -> TensorProto:
        """A tensor that refers to its bytes in this file.

        Args:
            name: Identifies the contents, together with ``element``: the same pair means the same tensor.
            load: Called once per pair, so that only one tensor is in memory at a time; returns an array of
                ``element``, for bfloat16 its bits as uint16.
            element: What the tensor consists of.

        Raises:
            ValueError: ``load`` returned another type.
        """
        key = (name, element)
        if key not in self._written:
            self._written[key] = self._append(name, np.ascontiguousarray(load()), element)
        return self._written[key]

    def holds(self, name: str, element: ElementType) -> bool:
        """Whether ``tensor`` was asked for these contents before."""
        return (name, element) in self._written

    def flush(self) -> None:
        """Make what was written so far readable for others."""
        self._stream.flush()

    def _append(self, name: str, array: NDArray[np.generic], element: ElementType) -> TensorProto:
        expected = "uint16" if element == "bfloat16" else element
        if array.dtype != expected:
            raise ValueError(f"{name}: {element} is stored from an array of {expected}, not of {array.dtype}.")
        offset = -(-self._stream.tell() // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        self._stream.seek(offset)
        self._stream.write(array.data.cast("B"))
        proto = TensorProto(
            name=name if element == "float32" else f"{name}.{element}",
            data_type=_ONNX_TYPES[element],
            dims=array.shape,
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in (("location", self._name), ("offset", offset), ("length", array.nbytes)):
            proto.external_data.add(key=key, value=str(value))
        return proto


class WeightOverlay:
    """Two files of weights in one folder as one: what is new goes to ``own``, and ``base`` stays as it is.

    Args:
        base: Has tensors already; those are taken from there.
        own: Gets the others.
    """

    def __init__(self, base: WeightFile, own: WeightFile) -> None:
        self._base = base
        self._own = own

    def tensor(
        self, name: str, load: Callable[[], NDArray[np.generic]], *, element: ElementType = "float32"
    ) -> TensorProto:
        """A tensor of ``base``, or else of ``own``; see ``WeightFile.tensor``."""
        file = self._base if self._base.holds(name, element) else self._own
        return file.tensor(name, load, element=element)

    def flush(self) -> None:
        """Make what was written so far readable for others."""
        self._base.flush()
        self._own.flush()


class GraphBuilder:
    """Collects nodes, inputs and weights, and turns them into a model.

    Tensors are named by strings, as in ONNX; every method that adds something returns the name.

    Args:
        name: Name of the graph.
        weights: Where large weights go.
    """

    def __init__(self, name: str, weights: TensorFile) -> None:
        self._name = name
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._initializers: dict[str, TensorProto] = {}

    def input(
        self,
        name: str,
        shape: Sequence[str | int],
        *,
        element: Literal["int64", "float32"] = "int64",
        default: Sequence[int] | None = None,
    ) -> str:
        """Declare an input; with ``default`` (a vector of int64) callers may leave it out."""
        kind = TensorProto.INT64 if element == "int64" else TensorProto.FLOAT
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        if default is not None:
            self._initializers[name] = numpy_helper.from_array(np.array(default, dtype=np.int64), name)
        return name

    def output(self, tensor: str, name: str, shape: Sequence[str | int]) -> None:
        """Give ``tensor`` the public name ``name`` as a float32 output."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name], name=f"output/{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def weight(self, name: str, load: Callable[[], NDArray[np.generic]], *, element: ElementType = "float32") -> str:
        """A weight of the model, in the shared file.

        Args:
            name: Identifies the contents across graphs, together with ``element``.
            load: Returns the array; see ``WeightFile.tensor``.
            element: What the tensor consists of.

        Returns:
            The tensor's name in the graph: ``name``, and for another type than float32 the type after a point.
        """
        tensor = self._weights.tensor(name, load, element=element)
        self._initializers[tensor.name] = tensor
        return tensor.name

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """A small constant, stored inside the graph.

        Raises:
            ValueError: It is larger than a page, and belongs in ``weight``, or ``name`` is taken
                by another value.
        """
        if value.nbytes > _INLINE_LIMIT_BYTES:
            raise ValueError(f"{name}: {value.nbytes} bytes is too large for a constant.")
        tensor = numpy_helper.from_array(value, name)
        if self._initializers.setdefault(name, tensor) != tensor:
            raise ValueError(f"{name} is already another constant.")
        return name

    def ints(self, *values: int) -> str:
        """A constant int64 vector, shape (len(values),)."""
        return self.constant("ints/" + "_".join(map(str, values)), np.array(values, dtype=np.int64))

    def scalar(self, value: float) -> str:
        """A constant float32 scalar."""
        return self.constant(f"float/{value!r}", np.array(value, dtype=np.float32))

    def uint8(self, value: int) -> str:
        """A constant uint8 scalar."""
        return self.constant(f"uint8/{value}", np.array(value, dtype=np.uint8))

    def op(
        self,
        op_type: str,
        inputs: Sequence[str],
        *,
        domain: str = "",
        attributes: Mapping[str, Attribute] | None = None,
    ) -> str:
        """Add a node with one output and return that output's name.

        Raises:
            ValueError: The operator is not one of those that an artifact may use.
        """
        name = self._next_name(op_type)
        self._add(op_type, inputs, [name], domain=domain, attributes=attributes)
        return name

    def op_outputs(
        self, op_type: str, inputs: Sequence[str], *, count: int, attributes: Mapping[str, Attribute] | None = None
    ) -> tuple[str, ...]:
        """Add a node of ONNX's own with ``count`` outputs and return their names, as ``op`` does for one.

        Raises:
            ValueError: The operator is not one of those that an artifact may use.
        """
        name = self._next_name(op_type)
        names = tuple(f"{name}.{number}" for number in range(count))
        self._add(op_type, inputs, names, domain="", attributes=attributes)
        return names

    def _next_name(self, op_type: str) -> str:
        return f"{op_type}_{len(self._nodes)}"

    def _add(
        self,
        op_type: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        domain: str,
        attributes: Mapping[str, Attribute] | None,
    ) -> None:
        if not is_allowed(domain, op_type):
            raise ValueError(f"{domain}:{op_type} is not in artifact/operators.py, so loading would refuse it.")
        node = helper.make_node(op_type, list(inputs), list(outputs), name=self._next_name(op_type), domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in (attributes or {}).items())
        self._nodes.append(node)

    def operators(self, *, domain: str | None = None) -> dict[str, int]:
        """How many nodes of each operator were added so far.

        Args:
            domain: Count the operators of one domain ("" is ONNX's own); None for all.
        """
        return dict(Counter(node.op_type for node in self._nodes if domain is None or node.domain == domain))

    def model(self) -> onnx.ModelProto:
        """The finished model."""
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, list(self._initializers.values())
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == CONTRIB for node in self._nodes):
            opsets.append(helper.make_opsetid(CONTRIB, 1))
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="stonnx")
