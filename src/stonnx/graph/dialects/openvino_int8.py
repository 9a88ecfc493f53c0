"""OpenVINO on CPU with int8 matrix products: standard operators in the forms that it turns into integer kernels.

Which forms those are (docs/decisions/0006-openvino.md):

* A weight that is dequantised in front of its product, per column and without a zero point: OpenVINO keeps it in int8
  and quantises the input itself, per token and group of components, as its option for the group size says.
* An input that is quantised and dequantised again with one fixed scale: the product is computed in integers. Not so an
  input that a linear map gives and that is the residual too: OpenVINO (2026.4) merges the multipliers into that map
  and gets wrong numbers, so this input is left to it.
"""

from __future__ import annotations

from stonnx.graph.blocks import Projection
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects.portable import Portable
from stonnx.graph.folding import NOTHING_FOLDED, Folded
from stonnx.graph.parameters import Parameters
from stonnx.graph.quantized import FixedRange, QuantizedMatrix, QuantizedProjections
from stonnx.graph.quantized_blocks import balance, tensor_stem, with_copies

__all__ = ["OpenVinoInt8"]


class OpenVinoInt8(Portable):
    """The dialect of ``onnx/model_int8_openvino.onnx``; the tensors are those of ``OrtCpuInt8``.

    Args:
        projections: What is quantised, and how.
        static: Quantise inputs with a fixed range in the graph; else all inputs are left to OpenVINO.
    """

    name = "openvino_int8"

    def __init__(self, projections: QuantizedProjections, *, static: bool) -> None:
        super().__init__()
        self._projections = projections
        self._static = static

    def project(
        self, g: GraphBuilder, p: Parameters, x: str, block: Projection, folded: Folded = NOTHING_FOLDED
    ) -> tuple[str, ...]:
        """One product per map with a dequantised weight; float32 where nothing is quantised."""
        plan = self._projections.get(block.site)
        if plan is None:
            return super().project(g, p, x, block, folded)
        x = with_copies(g, balance(g, x, block, plan), plan)
        if self._static and isinstance(plan.input, FixedRange) and block.source != "linear":
            scale, zero = g.scalar(plan.input.scale), g.uint8(plan.input.zero_point)
            x = g.op("DequantizeLinear", [g.op("QuantizeLinear", [x, scale, zero]), scale, zero])
        pairs = zip(block.linears, plan.matrices, strict=True)
        return tuple(
            g.op("MatMul", [x, _dequantized(g, tensor_stem(linear.weight, plan), matrix)]) for linear, matrix in pairs
        )


def _dequantized(g: GraphBuilder, name: str, matrix: QuantizedMatrix) -> str:
    """A weight as the product of its integers and scales, float32, shape (in, out)."""
    values = g.weight(name, lambda: matrix.values, element="int8")
    scales = g.weight(f"{name}.scales", lambda: matrix.scales)
    return g.op("DequantizeLinear", [values, scales], attributes={"axis": 1})
