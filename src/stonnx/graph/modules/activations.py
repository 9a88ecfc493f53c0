"""The activations of torch.nn that sentence-transformers can store for a Dense module or a cross-encoder's scores.

A configuration holds a class path such as ``torch.nn.modules.activation.Tanh``, which is built
without arguments, so every parameter below is that class's default (torch 2.13 documentation).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from stonnx.graph.builder import GraphBuilder

__all__ = ["ACTIVATIONS", "author_activation"]


class _Apply(Protocol):
    def __call__(self, g: GraphBuilder, x: str) -> str: ...


def _node(op_type: str, **attributes: float | str) -> _Apply:
    return lambda g, x: g.op(op_type, [x], attributes=attributes)


def _gelu(g: GraphBuilder, x: str) -> str:
    erf = g.op("Erf", [g.op("Mul", [x, g.scalar(1.0 / math.sqrt(2.0))])])
    return g.op("Mul", [g.op("Mul", [x, g.scalar(0.5)]), g.op("Add", [erf, g.scalar(1.0)])])


def _gated(gate: _Apply) -> _Apply:
    return lambda g, x: g.op("Mul", [x, gate(g, x)])


def _tanhshrink(g: GraphBuilder, x: str) -> str:
    return g.op("Sub", [x, g.op("Tanh", [x])])


def _relu6(g: GraphBuilder, x: str) -> str:
    return g.op("Clip", [x, g.scalar(0.0), g.scalar(6.0)])


def _hardtanh(g: GraphBuilder, x: str) -> str:
    return g.op("Clip", [x, g.scalar(-1.0), g.scalar(1.0)])


def _identity(g: GraphBuilder, x: str) -> str:  # noqa: ARG001 - same signature as the others
    return x


def _logsigmoid(g: GraphBuilder, x: str) -> str:
    return g.op("Neg", [g.op("Softplus", [g.op("Neg", [x])])])


def _softmin(g: GraphBuilder, x: str) -> str:
    return g.op("Softmax", [g.op("Neg", [x])], attributes={"axis": 1})


_SOFTPLUS = _node("Softplus")
_SIGMOID = _node("Sigmoid")

ACTIVATIONS: Mapping[str, _Apply] = {
    "AlphaDropout": _identity,
    "CELU": _node("Celu", alpha=1.0),
    "Dropout": _identity,
    "ELU": _node("Elu", alpha=1.0),
    "FeatureAlphaDropout": _identity,
    "Flatten": _identity,
    "GELU": _gelu,
    "Hardshrink": _node("Shrink", bias=0.0, lambd=0.5),
    "Hardsigmoid": _node("HardSigmoid", alpha=1.0 / 6.0, beta=0.5),
    "Hardswish": _node("HardSwish"),
    "Hardtanh": _hardtanh,
    "Identity": _identity,
    "LeakyReLU": _node("LeakyRelu", alpha=0.01),
    "LogSigmoid": _logsigmoid,
    "LogSoftmax": _node("LogSoftmax", axis=1),
    "Mish": _gated(lambda g, x: g.op("Tanh", [_SOFTPLUS(g, x)])),
    "RReLU": _node("LeakyRelu", alpha=(1.0 / 8.0 + 1.0 / 3.0) / 2.0),
    "ReLU": _node("Relu"),
    "ReLU6": _relu6,
    "SELU": _node("Selu"),
    "SiLU": _gated(_SIGMOID),
    "Sigmoid": _SIGMOID,
    "Softmax": _node("Softmax", axis=1),
    "Softmin": _softmin,
    "Softplus": _SOFTPLUS,
    "Softshrink": _node("Shrink", bias=0.5, lambd=0.5),
    "Softsign": _node("Softsign"),
    "Tanh": _node("Tanh"),
    "Tanhshrink": _tanhshrink,
}
"""By class name in torch.nn. PReLU, which has a weight, and GLU, which halves the width, are in ``dense.py``."""


def author_activation(g: GraphBuilder, x: str, name: str) -> str:
    """Apply an activation to ``x``, float32, shape (rows, width).

    Raises:
        KeyError: ``name`` is not in ``ACTIVATIONS``.
    """
    return ACTIVATIONS[name](g, x)
