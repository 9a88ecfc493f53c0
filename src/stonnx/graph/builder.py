"""Writes ONNX graphs node by node, with the large weights in one file that several graphs share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stonnx.artifact.operators import is_allowed

__all__ = ["CONTRIB", "OPSET", "GraphBuilder", "WeightFile"]

OPSET = 17
"""Standard operator set: the first with LayerNormalization, and one that old runtimes read."""
CONTRIB = "com.microsoft"
_IR_VERSION = 8
_INLINE_LIMIT_BYTES = 4096
_ALIGNMENT_BYTES = 4096  # a page, so that a runtime can map each tensor

Attribute = float | str | Sequence[int]


class WeightFile:
    """The external data file of an artifact; a tensor that two graphs use is written once.

    Args:
        path: The file to create, in the folder of the graphs.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("xb")
        self._name = path.name
        self._written: dict[str, TensorProto] = {}

    def __enter__(self) -> Self:
        """Nothing to prepare: the file is open."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Close the file."""
        self._stream.close()

    def tensor(self, name: str, load: Callable[[], NDArray[np.generic]]) -> TensorProto:
        """A tensor that refers to its bytes in this file.

        Args:
            name: Identifies the contents: the same name means the same tensor.
            load: Called once per name, so that only one tensor is in memory at a time.
        """
        if name not in self._written:
            self._written[name] = self._append(name, np.ascontiguousarray(load()))
        return self._written[name]

    def flush(self) -> None:
        """Make what was written so far readable for others."""
        self._stream.flush()

    def _append(self, name: str, array: NDArray[np.generic]) -> TensorProto:
        offset = -(-self._stream.tell() // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        self._stream.seek(offset)
        self._stream.write(array.data.cast("B"))
        proto = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            dims=array.shape,
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in (("location", self._name), ("offset", offset), ("length", array.nbytes)):
            proto.external_data.add(key=key, value=str(value))
        return proto


class GraphBuilder:
    """Collects nodes, inputs and weights, and turns them into a model.

    Tensors are named by strings, as in ONNX; every method that adds something returns the name.

    Args:
        name: Name of the graph.
        weights: Where large weights go.
    """

    def __init__(self, name: str, weights: WeightFile) -> None:
        self._name = name
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._initializers: dict[str, TensorProto] = {}

    def input(self, name: str, shape: Sequence[str | int], *, default: int | None = None) -> str:
        """Declare an int64 input; with ``default`` callers may leave it out (a scalar)."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.INT64, list(shape)))
        if default is not None:
            self._initializers[name] = numpy_helper.from_array(np.array(default, dtype=np.int64), name)
        return name

    def output(self, tensor: str, name: str, shape: Sequence[str | int]) -> None:
        """Give ``tensor`` the public name ``name`` as a float32 output."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name], name=f"output/{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def weight(self, name: str, load: Callable[[], NDArray[np.float32]]) -> str:
        """A weight of the model, in the shared file when it is large.

        Args:
            name: Identifies the contents across graphs.
            load: Returns the array, float32.
        """
        if name not in self._initializers:
            tensor = self._weights.tensor(name, load)
            self._initializers[name] = tensor
        return name

    def integers(self, name: str, load: Callable[[], NDArray[np.int8]]) -> str:
        """A quantised weight in the shared file; ``name`` and ``load`` as in ``weight``."""
        if name not in self._initializers:
            self._initializers[name] = self._weights.tensor(name, load)
        return name

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
        if not is_allowed(domain, op_type):
            raise ValueError(f"{domain}:{op_type} is not in artifact/operators.py, so loading would refuse it.")
        name = f"{op_type}_{len(self._nodes)}"
        node = helper.make_node(op_type, list(inputs), [name], name=name, domain=domain)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in (attributes or {}).items())
        self._nodes.append(node)
        return name

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
