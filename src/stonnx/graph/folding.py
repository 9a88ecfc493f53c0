"""Which constants of an attention block are moved into others, decided before anything of it is written.

Two identities allow it, both because a row of attention weights sums to 1 and every context is a weighted mean of
values, component by component:

* ``softmax(..) (V + b) Wᵀ = softmax(..) V Wᵀ + b Wᵀ``: the values' bias becomes part of the output map's.
* ``softmax(..) (V m) = (softmax(..) V) m``: what balances the context before it is quantised becomes part of the
  scales with which the values leave their integer product.

A key's bias adds the same to all scores of a query, which softmax takes out again; it is dropped where nothing is done
to the keys between the map and the product::

    folds = fold_attention(block, projections)
    query, key, value = dialect.project(g, p, x, block.maps, folds.maps)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stonnx.graph.blocks import AttentionBlock, Linear
from stonnx.graph.parameters import Parameters
from stonnx.graph.quantized import QuantizedProjections

__all__ = ["NOTHING_FOLDED", "AttentionFolds", "Bias", "Folded", "fold_attention", "own_biases"]


@dataclass(frozen=True, kw_only=True)
class Bias:
    """What is added to a product.

    Attributes:
        own: The map's own bias; None for none.
        weight: The map's weight.
        value: The bias of the values in front of an output map, which goes through the map; None for none.
    """

    own: str | None
    weight: str
    value: str | None = None

    @property
    def name(self) -> str:
        """What the weight file calls it."""
        if self.value is None:
            return self.own or ""
        return f"{self.own}+value" if self.own is not None else f"{self.value}@output"

    def load(self, p: Parameters) -> NDArray[np.float32]:
        """The sum, float32, shape (out,)."""
        if self.value is None:
            return p.get(self.own or "")
        through = p.get(self.weight).astype(np.float64) @ p.get(self.value).astype(np.float64)
        return (through if self.own is None else p.get(self.own) + through).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Folded:
    """What the products of one projection take in beside their maps; one entry per map, in order.

    Attributes:
        biases: What is added to each product, None for nothing; () for nothing anywhere.
        multipliers: What the components of each product are multiplied with, float32, shape (out,), None for nothing;
            () for nothing anywhere. Only quantised products have room for it.
        balanced: The input comes with the multipliers of its range in it.
    """

    biases: tuple[Bias | None, ...] = ()
    multipliers: tuple[NDArray[np.float32] | None, ...] = ()
    balanced: bool = False

    def bias(self, number: int) -> Bias | None:
        """What is added to the product of a map."""
        return self.biases[number] if self.biases else None

    def multiplier(self, number: int) -> NDArray[np.float32] | None:
        """What the components of a map's product are multiplied with, float32, shape (out,); None for nothing."""
        return self.multipliers[number] if self.multipliers else None


NOTHING_FOLDED = Folded()
"""Products alone."""


@dataclass(frozen=True, kw_only=True)
class AttentionFolds:
    """What the two projections of an attention block take in."""

    maps: Folded
    output: Folded


def fold_attention(block: AttentionBlock, quantized: QuantizedProjections) -> AttentionFolds:
    """Decide where the constants of an attention block go, for dialects whose attention takes no value bias.

    Args:
        block: The block.
        quantized: What is quantised; empty where nothing is.

    Raises:
        ValueError: Query heads share keys and values: one component of a context is not one of the values there.
    """
    query, key, value = block.maps.linears
    (output,) = block.output.linears
    keys_are_kept = block.rotary is None and block.key_norm is None
    first, second = (quantized.get(part.site) for part in (block.maps, block.output))
    multipliers = second.input.multipliers if first is not None and second is not None else None
    if block.key_value_heads != block.heads:
        raise ValueError(f"{block.maps.site}: with shared value heads nothing can be folded by component.")
    return AttentionFolds(
        maps=Folded(
            biases=(own_bias(query), None if keys_are_kept else own_bias(key), None),
            multipliers=() if multipliers is None else (None, None, multipliers),
        ),
        output=Folded(
            biases=(_output_bias(output, value.bias),),
            balanced=multipliers is not None,
        ),
    )


def own_biases(linears: Sequence[Linear]) -> Folded:
    """The maps' own biases and nothing else."""
    return Folded(biases=tuple(own_bias(linear) for linear in linears))


def own_bias(linear: Linear) -> Bias | None:
    """The bias of a map as it is in the checkpoint; None for none."""
    return None if linear.bias is None else Bias(own=linear.bias, weight=linear.weight)


def _output_bias(output: Linear, value_bias: str | None) -> Bias | None:
    if value_bias is None:
        return own_bias(output)
    return Bias(own=output.bias, weight=output.weight, value=value_bias)
