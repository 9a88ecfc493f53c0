"""The parts of a quantised projection that int8 dialects share: names, a balanced input, and copies."""

from __future__ import annotations

from stonnx.graph.blocks import Projection
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.quantized import QuantizedProjection

__all__ = ["balance", "tensor_stem", "with_copies"]


def tensor_stem(weight: str, plan: QuantizedProjection) -> str:
    """What the tensors of a quantised map are called.

    Graphs share a file of weights, and a projection is rounded twice: for a balanced input, and for one that is not.
    Layers that share a weight share its integers too, so the weight names them.
    """
    return f"{weight}.unbalanced" if plan.input.multipliers is None else weight


def balance(g: GraphBuilder, x: str, block: Projection, plan: QuantizedProjection) -> str:
    """``x`` times the multipliers of a projection's input, where it has any.

    Args:
        g: The graph.
        x: The input, float32, shape (..., in).
        block: The projection.
        plan: Its integers.
    """
    multipliers = plan.input.multipliers
    if multipliers is None:
        return x
    return g.op("Mul", [x, g.weight(f"{block.linears[0].weight}.multipliers", lambda: multipliers)])


def with_copies(g: GraphBuilder, x: str, plan: QuantizedProjection) -> str:
    """``x``, shape (..., in), and after its components those that are repeated."""
    if not len(plan.copies):
        return x
    again = g.op("Gather", [x, g.ints(*plan.copies.tolist())], attributes={"axis": -1})
    return g.op("Concat", [x, again], attributes={"axis": -1})
