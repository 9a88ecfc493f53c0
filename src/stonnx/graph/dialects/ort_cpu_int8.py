"""ONNX Runtime on CPU with int8 matrix products; everything between them stays in float32.

Why these operators (docs/decisions/0007-int8.md):

* Inputs are unsigned and weights signed, which is what VNNI and AMX multiply, and AVX2 fastest.
* Where the range is fixed at convert time, quantising is one pass, and the product's scale and a bias are applied as it
  leaves the kernel. A scale per token is closer and costs more passes; behind an activation it always is one,
  because the spread between tokens is too wide there, and the lowest that a component can be is known.
* Neither lets a text's vector depend on its neighbours in the batch.
* Components that are split come as copies of their integers: few bytes to move.
* What balances the input of an attention's output map is folded into the scales of the values: a context is a weighted
  mean of values, component by component.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stonnx.graph.blocks import Activation, AttentionBlock, GraphInputs, Linear, Projection
from stonnx.graph.builder import CONTRIB, GraphBuilder
from stonnx.graph.dialects.ort_cpu import OrtCpu
from stonnx.graph.parameters import Parameters
from stonnx.graph.quantized import (
    FixedRange,
    QuantizedMatrix,
    QuantizedProjection,
    QuantizedProjections,
    ScalePerToken,
)
from stonnx.graph.quantized_blocks import balance, tensor_stem, with_copies

__all__ = ["OrtCpuInt8"]

_STEPS = 255
_TINY = 1e-6


class OrtCpuInt8(OrtCpu):
    """The dialect of ``onnx/model_int8.onnx``; one instance writes one graph.

    Args:
        projections: What is quantised, and how.
    """

    name = "ort_cpu_int8"

    def __init__(self, projections: QuantizedProjections) -> None:
        super().__init__()
        self._projections = projections
        self._leading: str | None = None
        self._value_multipliers: dict[str, NDArray[np.float32]] = {}  # by the weight of a value map
        self._balanced_outputs: set[str] = set()  # weights of the output maps behind them
        self._added_next: set[str] = set()  # biases that would be added to a product as it is
        self._added: set[str] = set()  # those that the product has added

    def attend(self, g: GraphBuilder, p: Parameters, x: str, inputs: GraphInputs, block: AttentionBlock) -> str:
        """As in float32; where both maps are quantised, the values come out balanced for the output map."""
        first, output = (self._projections.get(linear.weight) for linear in (block.query, block.output))
        if first is not None and output is not None and output.input.multipliers is not None:
            self._value_multipliers[block.value.weight] = output.input.multipliers
            self._balanced_outputs.add(block.output.weight)
        self._added_next |= {block.query.bias, block.output.bias}
        return super().attend(g, p, x, inputs, block)

    def project(self, g: GraphBuilder, p: Parameters, x: str, block: Projection) -> tuple[str, ...]:
        """Quantise the input once, then one integer product per map; float32 where nothing is quantised."""
        site = block.linears[0].weight
        plan = self._projections.get(site)
        if plan is None:
            return super().project(g, p, x, block)
        if site not in self._balanced_outputs:
            x = balance(g, x, site, plan)
        how = plan.input
        if isinstance(how, FixedRange):
            self._added |= self._added_next & {linear.bias for linear in block.linears}
            return self._products(g, p, block, plan, self._quantize(g, x, how))
        flat = g.op("Reshape", [x, g.ints(-1, plan.width)])  # (rows, tokens, in) -> (all tokens, in)
        products = self._products(g, p, block, plan, self._quantize_tokens(g, flat, how))
        widths = (len(matrix.scales) for matrix in plan.matrices)
        return tuple(self._unflatten(g, x, y, width) for y, width in zip(products, widths, strict=True))

    def _products(
        self, g: GraphBuilder, p: Parameters, block: Projection, plan: QuantizedProjection, inputs: tuple[str, str, str]
    ) -> tuple[str, ...]:
        """One integer product per map; ``inputs`` are the integers, their scale and their zero point."""
        integers, scale, zero = inputs
        integers = with_copies(g, integers, plan)
        return tuple(
            self._multiply(g, p, linear, self._tensors(g, linear, plan, matrix), (integers, scale, zero))
            for linear, matrix in zip(block.linears, plan.matrices, strict=True)
        )

    def _unflatten(self, g: GraphBuilder, x: str, y: str, width: int) -> str:
        """(all tokens, width) -> (rows, tokens, width), with the leading sizes of ``x``."""
        shape = g.op("Concat", [self._rows_tokens(g, x), g.ints(width)], attributes={"axis": 0})
        return g.op("Reshape", [y, shape])

    def _quantize(self, g: GraphBuilder, x: str, fixed: FixedRange) -> tuple[str, str, str]:
        """The input as uint8, and the names of its scale and zero point."""
        scale = g.scalar(float(np.float32(fixed.scale)))
        zero = g.uint8(fixed.zero_point)
        return g.op("QuantizeLinear", [x, scale, zero]), scale, zero

    def _quantize_tokens(self, g: GraphBuilder, flat: str, how: ScalePerToken) -> tuple[str, str, str]:
        """``flat`` as uint8 around one zero point, the rows' scales, shape (all tokens, 1), and the zero point."""
        high = g.op("ReduceMax", [flat], attributes={"axes": (1,), "keepdims": 0})
        limits = [g.op("Mul", [high, g.scalar(1.0 / (_STEPS - how.zero_point))])]
        if how.lower_bound is None:
            low = g.op("ReduceMin", [flat], attributes={"axes": (1,), "keepdims": 0})
            limits += [g.op("Mul", [low, g.scalar(-1.0 / how.zero_point)]), g.scalar(_TINY)]
        else:
            limits.append(g.scalar(max(-how.lower_bound / max(how.zero_point, 1), _TINY)))
        scale = g.op("Max", limits)
        zero = g.uint8(how.zero_point)
        zeros = g.op("Expand", [zero, g.op("Shape", [scale])])
        quantized = g.op("QuantizeLinear", [flat, scale, zeros], attributes={"axis": 0})
        return quantized, g.op("Unsqueeze", [scale, g.ints(1)]), zero

    def _multiply(
        self, g: GraphBuilder, p: Parameters, linear: Linear, tensors: tuple[str, str], inputs: tuple[str, str, str]
    ) -> str:
        """One integer product, as float32: of a matrix's integers and scales, and an input's with its zero point."""
        (values, scales), (x, scale, zero) = tensors, inputs
        operands = [x, values, scale, scales, zero]
        if linear.bias in self._added:
            operands += ["", self._bias_tensor(g, p, linear.bias)]
        return g.op("MatMulIntegerToFloat", operands, domain=CONTRIB)

    def _tensors(
        self, g: GraphBuilder, linear: Linear, plan: QuantizedProjection, matrix: QuantizedMatrix
    ) -> tuple[str, str]:
        """The integers of a matrix, and the scales of its columns with what is folded into them."""
        stem = tensor_stem(linear.weight, plan)
        values = g.integers(f"{stem}.int8", lambda: matrix.values)
        multipliers = self._value_multipliers.get(linear.weight)
        if multipliers is None:
            return values, g.weight(f"{stem}.scales", lambda: matrix.scales)
        return values, g.weight(f"{stem}.scales*multipliers", lambda: matrix.scales * multipliers)

    def _rows_tokens(self, g: GraphBuilder, x: str) -> str:
        """The leading two sizes of ``x``, int64, shape (2,); once per graph."""
        if self._leading is None:
            self._leading = g.op("Shape", [x], attributes={"start": 0, "end": 2})
        return self._leading

    def activate(self, g: GraphBuilder, p: Parameters, x: str, bias: str, activation: Activation) -> str:
        """The tanh form of GELU: it differs by less than a step of the integers behind it."""
        return super().activate(g, p, x, bias, "gelu_tanh" if activation == "gelu" else activation)

    def _biased(self, g: GraphBuilder, p: Parameters, x: str, name: str) -> str:
        """As in float32, where the product has not added the bias itself."""
        return x if name in self._added else super()._biased(g, p, x, name)
