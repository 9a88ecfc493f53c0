"""The operators that a graph of an artifact may use: what stonnx authors, and nothing else.

None of them runs a graph of its own, so there is no ``Loop`` without end and no hidden branch; none reads or writes
a file, and none is code of a library's own.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["OPERATORS", "is_allowed"]

OPERATORS: Mapping[str, frozenset[str]] = {
    "": frozenset(
        """Add ArgMax Cast Celu Clip Concat Cos CumSum DequantizeLinear Div Elu Equal Erf Expand Gather GatherND
        GreaterOrEqual HardSigmoid HardSwish Identity LayerNormalization LeakyRelu LogSoftmax MatMul Max Mul Neg Not
        PRelu QuantizeLinear Range ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Selu Shape Shrink
        Sigmoid Sin Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze Where""".split()
    ),
    "com.microsoft": frozenset("BiasGelu FastGelu MatMulIntegerToFloat MultiHeadAttention".split()),
}
"""By domain; "" is ONNX's own."""


def is_allowed(domain: str, operator: str) -> bool:
    """Whether a graph of an artifact may use an operator."""
    return operator in OPERATORS.get(domain, frozenset())
