"""Write the ONNX graph that shows whether a CPU's 8-bit matrix kernels are exact: unsigned by signed, no scales."""

from __future__ import annotations

import sys

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_DEPTH, _COLUMNS = 384, 192
_LARGEST, _LARGEST_PAIR = 127, 128  # as in stonnx.quantize.rounding


def any_weights() -> NDArray[np.int8]:
    """All that int8 allows, shape (in, out)."""
    weight = np.random.default_rng(0).integers(-128, 127, (_DEPTH, _COLUMNS), endpoint=True).astype(np.int8)
    weight[:, :8], weight[:, 8:16] = 127, -128  # the largest sums there can be
    return weight


def paired_weights() -> NDArray[np.int8]:
    """What stonnx rounds to: the rows 2k and 2k + 1 of a column add up to 128 at most; the same shape."""
    rng = np.random.default_rng(1)
    first = rng.integers(-_LARGEST, _LARGEST, (_DEPTH // 2, _COLUMNS), endpoint=True)
    first[:, :127], sign = np.arange(1, 128), np.where(np.arange(_COLUMNS) % 2, -1, 1)
    room = np.stack([np.maximum(-_LARGEST, -_LARGEST_PAIR - first), np.minimum(_LARGEST, _LARGEST_PAIR - first)])
    second = rng.integers(room[0], room[1], endpoint=True)
    second[:, :127] = room[1][:, :127]  # every way to share a pair
    return (np.stack([first, second], axis=1).reshape(_DEPTH, _COLUMNS) * sign).astype(np.int8)


WEIGHTS = {"any": any_weights, "pairs": paired_weights}


def build() -> onnx.ModelProto:
    """One uint8 input ``a``; for each kind of weights the int32 product and the float one with zero point 128."""
    nodes, outputs = [], []
    weights = [
        numpy_helper.from_array(np.array(1, np.float32), "scale_a"),
        numpy_helper.from_array(np.ones(_COLUMNS, np.float32), "scale_b"),
        numpy_helper.from_array(np.array(128, np.uint8), "zero_a"),
    ]
    for kind, make in WEIGHTS.items():
        weights.append(numpy_helper.from_array(make(), kind))
        scaled = ["a", kind, "scale_a", "scale_b", "zero_a"]
        nodes.append(helper.make_node("MatMulInteger", ["a", kind], [f"int_{kind}"]))
        nodes.append(helper.make_node("MatMulIntegerToFloat", scaled, [f"float_{kind}"], domain="com.microsoft"))
        outputs.append(helper.make_tensor_value_info(f"int_{kind}", TensorProto.INT32, None))
        outputs.append(helper.make_tensor_value_info(f"float_{kind}", TensorProto.FLOAT, None))
    left = helper.make_tensor_value_info("a", TensorProto.UINT8, ["rows", _DEPTH])
    graph = helper.make_graph(nodes, "kernels", [left], outputs, weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


if __name__ == "__main__":
    onnx.save(build(), sys.argv[1])
    np.savez(sys.argv[1].replace(".onnx", ".npz"), any=any_weights(), pairs=paired_weights())
