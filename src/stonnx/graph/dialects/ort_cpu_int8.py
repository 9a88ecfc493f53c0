"""ONNX Runtime on CPU with int8 matrix products; everything between them stays in float32.

Why these operators (docs/decisions/0007-int8.md):

* Inputs are unsigned and weights signed, which is what VNNI and AMX multiply, and AVX2 fastest.
* Where the range is fixed at convert time, quantising is one pass, and the product's scale and a bias are applied as it
  leaves the kernel. A scale per token is closer and costs more passes; after an activation it always is one,
  because the spread between tokens is too wide there, and the lowest that a component can be is known.
* Quantising per token, and the scales' pass over such a product, run on one thread. Forms that run on all of them take
  passes more and lose on one thread what they gain on two, so several one-thread runs at a time are the better way.
* Neither lets a text's vector depend on its neighbours in the batch.
* Components that are split come as copies of their integers: few bytes to move.
* What balances the input of an attention's output map is folded into the scales of the values: a context is a weighted
  mean of values, component by component.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stonnx.graph.blocks import Activation, AttentionBlock, FeedForwardBlock, Projection
from stonnx.graph.builder import CONTRIB, GraphBuilder
from stonnx.graph.dialects.ort_cpu import OrtCpu, bias_tensor
from stonnx.graph.folding import NOTHING_FOLDED, AttentionFolds, Bias, Folded, fold_attention, own_biases
from stonnx.graph.parameters import Parameters
from stonnx.graph.parts import add_bias
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
        self._shared: dict[str, str] = {}  # what several projections need, written once per graph

    def project(
        self, g: GraphBuilder, p: Parameters, x: str, block: Projection, folded: Folded = NOTHING_FOLDED
    ) -> tuple[str, ...]:
        """Quantise the input once, then one integer product per map; float32 where nothing is quantised."""
        plan = self._projections.get(block.site)
        if plan is None or isinstance(plan.input, FixedRange):
            return self._products(g, p, x, block, folded)
        products = self._products(g, p, _flatten(g, x, plan.width), block, folded)
        return tuple(
            self._unflatten(g, x, y, len(matrix.scales)) for y, matrix in zip(products, plan.matrices, strict=True)
        )

    def feed_forward(self, g: GraphBuilder, p: Parameters, x: str, block: FeedForwardBlock) -> str:
        """As in float32, but a product in a fixed range adds its bias itself.

        Where one of the two inputs has a scale per token, the tokens of all rows are one axis from the first product
        to the second: two reshapes a block instead of four.
        """
        first, second = (self._projections.get(part.site) for part in (block.maps, block.output))
        width = _common_width(first, second)
        y = x if width is None else _flatten(g, x, width)
        (y,) = self._products(g, p, self._activated(g, p, y, block), block.output, own_biases(block.output.linears))
        return y if width is None else self._unflatten(g, x, y, width)

    def activate(self, g: GraphBuilder, p: Parameters, x: str, bias: str | None, activation: Activation) -> str:
        """The tanh form of GELU: it differs by less than a step of the integers that follow."""
        if activation == "gelu":
            activation = "gelu_tanh"
        if activation == "gelu_tanh" and bias is None:
            return g.op("FastGelu", [x], domain=CONTRIB)
        return super().activate(g, p, x, bias, activation)

    def _activated(self, g: GraphBuilder, p: Parameters, x: str, block: FeedForwardBlock) -> str:
        """The first product of a feed-forward block after its activation, times the others where there is a gate."""
        plan, linears = self._projections.get(block.maps.site), block.maps.linears
        by_kernel = plan is not None and isinstance(plan.input, FixedRange)
        products = self._products(g, p, x, block.maps, own_biases(linears) if by_kernel else NOTHING_FOLDED)
        biases = [None if by_kernel else linear.bias for linear in linears]
        y = self.activate(g, p, products[0], biases[0], block.activation)
        for product, bias in zip(products[1:], biases[1:], strict=True):
            y = g.op("Mul", [y, add_bias(g, p, product, bias)])
        return y

    def _products(self, g: GraphBuilder, p: Parameters, x: str, block: Projection, folded: Folded) -> tuple[str, ...]:
        """The products of a projection; ``x`` is of shape (all tokens, in) where its scales are per token."""
        plan, numbers = self._projections.get(block.site), range(len(block.linears))
        if plan is None:
            return super().project(g, p, x, block, folded)
        if not folded.balanced:
            x = balance(g, x, block, plan)
        tensors = [self._tensors(g, block, plan, folded, number) for number in numbers]
        if isinstance(plan.input, FixedRange):
            # The kernel adds the bias as the product leaves it.
            inputs = _copied(g, _quantize(g, x, plan.input), plan)
            return tuple(self._multiply(g, p, tensors[number], inputs, folded.bias(number)) for number in numbers)
        inputs = _copied(g, self._quantize_tokens(g, x, plan.input), plan)
        products = [self._multiply(g, p, tensors[number], inputs, None) for number in numbers]
        return tuple(self._plus(g, p, products[number], folded.bias(number)) for number in numbers)

    def _fold(self, block: AttentionBlock) -> AttentionFolds:
        return fold_attention(block, self._projections)

    def _unflatten(self, g: GraphBuilder, x: str, y: str, width: int) -> str:
        """(all tokens, width) -> (rows, tokens, width), with the leading sizes of ``x``."""
        leading = self._once("leading", lambda: g.op("Shape", [x], attributes={"start": 0, "end": 2}))
        shape = self._once(f"shape/{width}", lambda: g.op("Concat", [leading, g.ints(width)], attributes={"axis": 0}))
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

    def _quantize_tokens(self, g: GraphBuilder, flat: str, how: ScalePerToken) -> tuple[str, str, str]:
        """``flat`` as uint8 around one zero point, its rows' scales, shape (all tokens, 1), and the zero point."""
        scale = _token_scales(g, flat, how)
        zero = g.uint8(how.zero_point)
        count = self._once("tokens", lambda: g.op("Shape", [scale]))
        zeros = self._once(f"zeros/{how.zero_point}", lambda: g.op("Expand", [zero, count]))
        quantized = g.op("QuantizeLinear", [flat, scale, zeros], attributes={"axis": 0})
        return quantized, g.op("Unsqueeze", [scale, g.ints(1)]), zero

    def _once(self, key: str, write: Callable[[], str]) -> str:
        """A tensor that depends on nothing but the sizes of the batch."""
        if key not in self._shared:
            self._shared[key] = write()
        return self._shared[key]


def _common_width(first: QuantizedProjection | None, second: QuantizedProjection | None) -> int | None:
    """What goes in and comes out of a feed-forward block where an input has a scale per token; None where none has."""
    if first is not None and isinstance(first.input, ScalePerToken):
        return first.width
    if second is not None and isinstance(second.input, ScalePerToken):
        return len(second.matrices[0].scales)
    return None


def _flatten(g: GraphBuilder, x: str, width: int) -> str:
    """(rows, tokens, width) -> (all tokens, width)."""
    return g.op("Reshape", [x, g.ints(-1, width)])


def _copied(g: GraphBuilder, inputs: tuple[str, str, str], plan: QuantizedProjection) -> tuple[str, str, str]:
    """Integers with those that are repeated, their scale and their zero point."""
    integers, scale, zero = inputs
    return with_copies(g, integers, plan), scale, zero


def _quantize(g: GraphBuilder, x: str, fixed: FixedRange) -> tuple[str, str, str]:
    """The input as uint8, and the names of its scale and zero point."""
    scale = g.scalar(float(np.float32(fixed.scale)))
    zero = g.uint8(fixed.zero_point)
    return g.op("QuantizeLinear", [x, scale, zero]), scale, zero


def _token_scales(g: GraphBuilder, flat: str, how: ScalePerToken) -> str:
    """One step of each token's integers, shape (all tokens,)."""
    high = g.op("ReduceMax", [flat], attributes={"axes": (1,), "keepdims": 0})
    limits = [g.op("Mul", [high, g.scalar(1.0 / (_STEPS - how.zero_point))])]
    if how.lower_bound is None:
        low = g.op("ReduceMin", [flat], attributes={"axes": (1,), "keepdims": 0})
        limits += [g.op("Mul", [low, g.scalar(-1.0 / how.zero_point)]), g.scalar(_TINY)]
    else:
        limits.append(g.scalar(max(-how.lower_bound / max(how.zero_point, 1), _TINY)))
    return g.op("Max", limits)
