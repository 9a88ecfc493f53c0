"""The parts of a quantised projection that int8 dialects share: a balanced input, and copies."""

from __future__ import annotations

from stonnx.graph.builder import GraphBuilder
from stonnx.graph.quantized import QuantizedProjection

__all__ = ["balance", "with_copies"]


def balance(g: GraphBuilder, x: str, site: str, plan: QuantizedProjection) -> str:
    """``x`` times the multipliers of a projection's input, where it has any.

    Args:
        g: The graph.
        x: The input, float32, shape (..., in).
        site: The projection's name: the weight of its first map.
        plan: The projection.
    """
    multipliers = plan.input.multipliers
    if multipliers is None:
        return x
    return g.op("Mul", [x, g.weight(f"{site}.multipliers", lambda: multipliers)])


def with_copies(g: GraphBuilder, x: str, plan: QuantizedProjection) -> str:
    """``x``, shape (..., in), and behind its components those that come again."""
    if not len(plan.copies):
        return x
    again = g.op("Gather", [x, g.ints(*plan.copies.tolist())], attributes={"axis": -1})
    return g.op("Concat", [x, again], attributes={"axis": -1})
