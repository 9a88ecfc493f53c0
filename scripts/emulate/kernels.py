"""Write the ONNX graph that shows whether a CPU's 8-bit matrix kernels are exact: unsigned by signed, no scales."""

from __future__ import annotations

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_DEPTH, _COLUMNS = 384, 192
_EXTREMES = {8: (-128, 127), 7: (-64, 64)}


def build() -> onnx.ModelProto:
    """One uint8 input ``a``; for 8-bit and 7-bit weights the int32 product and the float one with zero point 128."""
    rng = np.random.default_rng(0)
    nodes, outputs = [], []
    weights = [
        numpy_helper.from_array(np.array(1, np.float32), "scale_a"),
        numpy_helper.from_array(np.ones(_COLUMNS, np.float32), "scale_b"),
        numpy_helper.from_array(np.array(128, np.uint8), "zero_a"),
    ]
    for bits, (low, high) in _EXTREMES.items():
        weight = rng.integers(low, high, (_DEPTH, _COLUMNS), endpoint=True).astype(np.int8)
        weight[:, :8], weight[:, 8:16] = high, low  # the largest sums there can be
        weights.append(numpy_helper.from_array(weight, f"w{bits}"))
        scaled = ["a", f"w{bits}", "scale_a", "scale_b", "zero_a"]
        nodes.append(helper.make_node("MatMulInteger", ["a", f"w{bits}"], [f"int{bits}"]))
        nodes.append(helper.make_node("MatMulIntegerToFloat", scaled, [f"float{bits}"], domain="com.microsoft"))
        outputs.append(helper.make_tensor_value_info(f"int{bits}", TensorProto.INT32, None))
        outputs.append(helper.make_tensor_value_info(f"float{bits}", TensorProto.FLOAT, None))
    left = helper.make_tensor_value_info("a", TensorProto.UINT8, ["rows", _DEPTH])
    graph = helper.make_graph(nodes, "kernels", [left], outputs, weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


if __name__ == "__main__":
    model = build()
    onnx.save(model, sys.argv[1])
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    np.savez(sys.argv[1].replace(".onnx", ".npz"), w7=stored["w7"], w8=stored["w8"])
