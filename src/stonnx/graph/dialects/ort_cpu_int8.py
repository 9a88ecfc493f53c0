"""ONNX Runtime on CPU with int8 matrix products; everything between them stays in float32.

Why these operators (docs/decisions/0007-int8.md):

* Inputs are unsigned and weights signed, which is what VNNI and AMX multiply, and AVX2 fastest.
* Where the range is fixed at convert time, quantising is one pass, and the product's scale and a bias are applied as it
  leaves the kernel. A scale per token is closer and costs more passes; after an activation it always is one,
  because the spread between tokens is too wide there, and the lowest that a component can be is known.
* Neither lets a text's vector depend on its neighbours in the batch.
* Components that are split come as copies of their integers: few bytes to move.
* What balances the input of an attention's output map is folded into the scales of the values: a context is a weighted
  mean of values, component by component.
"""

from __future__ import annotations

import numpy as np

from stonnx.graph.blocks import Activation, AttentionBlock, Projection
from stonnx.graph.builder import CONTRIB, GraphBuilder
from stonnx.graph.dialects.ort_cpu import OrtCpu, bias_tensor
from stonnx.graph.folding import NOTHING_FOLDED, AttentionFolds, Bias, Folded, fold_attention
from stonnx.graph.parameters import Parameters
from stonnx.graph.quantized import FixedRange, QuantizedProjection, QuantizedProjections, ScalePerToken
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

    def project(
        self, g: GraphBuilder, p: Parameters, x: str, block: Projection, folded: Folded = NOTHING_FOLDED
    ) -> tuple[str, ...]:
        """Quantise the input once, then one integer product per map; float32 where nothing is quantised."""
        plan = self._projections.get(block.site)
        if plan is None:
            return super().project(g, p, x, block, folded)
        if not folded.balanced:
            x = balance(g, x, block, plan)
        how, numbers = plan.input, range(len(block.linears))
        if isinstance(how, FixedRange):
            # The kernel adds the bias as the product leaves it.
            inputs = _copied(g, _quantize(g, x, how), plan)
            return tuple(
                self._multiply(g, p, self._tensors(g, block, plan, folded, number), inputs, folded.bias(number))
                for number in numbers
            )
        flat = g.op("Reshape", [x, g.ints(-1, plan.width)])  # (rows, tokens, in) -> (all tokens, in)
        inputs = _copied(g, _quantize_tokens(g, flat, how), plan)
        products = [
            self._multiply(g, p, self._tensors(g, block, plan, folded, number), inputs, None) for number in numbers
        ]
        found = [
            self._unflatten(g, x, y, len(matrix.scales)) for y, matrix in zip(products, plan.matrices, strict=True)
        ]
        return tuple(self._plus(g, p, y, folded.bias(number)) for number, y in enumerate(found))

    def activate(self, g: GraphBuilder, p: Parameters, x: str, bias: str | None, activation: Activation) -> str:
        """The tanh form of GELU: it differs by less than a step of the integers that follow."""
        return super().activate(g, p, x, bias, "gelu_tanh" if activation == "gelu" else activation)

    def _fold(self, block: AttentionBlock) -> AttentionFolds:
        return fold_attention(block, self._projections)

    def _unflatten(self, g: GraphBuilder, x: str, y: str, width: int) -> str:
        """(all tokens, width) -> (rows, tokens, width), with the leading sizes of ``x``."""
        shape = g.op("Concat", [self._rows_tokens(g, x), g.ints(width)], attributes={"axis": 0})
        return g.op("Reshape", [y, shape])

    def _multiply(
        self,
        g: GraphBuilder,
        p: Parameters,
        tensors: tuple[str, str],
        inputs: tuple[str, str, str],
        bias: Bias | None,
    ) -> str:
        """One integer product, as float32: of a matrix's integers and scales, and an input's with its zero point."""
        (values, scales), (x, scale, zero) = tensors, inputs
        operands = [x, values, scale, scales, zero]
        if bias is not None:
            operands += ["", bias_tensor(g, p, bias)]
        return g.op("MatMulIntegerToFloat", operands, domain=CONTRIB)

    def _tensors(
        self, g: GraphBuilder, block: Projection, plan: QuantizedProjection, folded: Folded, number: int
    ) -> tuple[str, str]:
        """The integers of a matrix, and the scales of its columns with what is folded into them."""
        matrix, multipliers = plan.matrices[number], folded.multiplier(number)
        stem = tensor_stem(block.linears[number].weight, plan)
        values = g.weight(stem, lambda: matrix.values, element="int8")
        if multipliers is None:
            return values, g.weight(f"{stem}.scales", lambda: matrix.scales)
        return values, g.weight(f"{stem}.scales*multipliers", lambda: matrix.scales * multipliers)

    def _rows_tokens(self, g: GraphBuilder, x: str) -> str:
        """The leading two sizes of ``x``, int64, shape (2,); once per graph."""
        if self._leading is None:
            self._leading = g.op("Shape", [x], attributes={"start": 0, "end": 2})
        return self._leading


def _copied(g: GraphBuilder, inputs: tuple[str, str, str], plan: QuantizedProjection) -> tuple[str, str, str]:
    """Integers with those that are repeated, their scale and their zero point."""
    integers, scale, zero = inputs
    return with_copies(g, integers, plan), scale, zero


def _quantize(g: GraphBuilder, x: str, fixed: FixedRange) -> tuple[str, str, str]:
    """The input as uint8, and the names of its scale and zero point."""
    scale = g.scalar(float(np.float32(fixed.scale)))
    zero = g.uint8(fixed.zero_point)
    return g.op("QuantizeLinear", [x, scale, zero]), scale, zero


def _quantize_tokens(g: GraphBuilder, flat: str, how: ScalePerToken) -> tuple[str, str, str]:
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
