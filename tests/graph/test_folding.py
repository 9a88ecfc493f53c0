"""Where the constants of an attention block go, and where they must not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stonnx.graph.blocks import AttentionBlock, Linear, Projection
from stonnx.graph.folding import Bias, fold_attention
from stonnx.graph.quantized import FixedRange, QuantizedMatrix, QuantizedProjection

BLOCK = AttentionBlock(
    maps=Projection(site="maps", linears=tuple(Linear(name, f"{name}.bias") for name in "qkv"), source="norm"),
    output=Projection(site="output", linears=(Linear("o", "o.bias"),), source="attention"),
    heads=4,
    key_value_heads=4,
    head_size=2,
)


def quantized(multipliers):
    matrix = QuantizedMatrix(values=np.zeros((8, 8), np.int8), scales=np.ones(8, np.float32))
    return QuantizedProjection(input=FixedRange(multipliers=multipliers, scale=1.0, zero_point=0), matrices=(matrix,))


def test_the_bias_of_the_values_goes_through_the_output_map_and_that_of_the_keys_away():
    folds = fold_attention(BLOCK, {})
    assert [folds.maps.bias(number) for number in range(3)] == [Bias(own="q.bias", weight="q"), None, None]
    assert folds.output.bias(0) == Bias(own="o.bias", weight="o", value="v.bias")


def test_balance_is_folded_only_where_both_products_are_quantised():
    multipliers = np.arange(1, 9, dtype=np.float32)
    both = fold_attention(BLOCK, {"maps": quantized(None), "output": quantized(multipliers)})
    assert both.output.balanced
    assert both.maps.multiplier(2) is multipliers
    assert both.maps.multiplier(0) is both.maps.multiplier(1) is None
    for plans in ({"output": quantized(multipliers)}, {"maps": quantized(None), "output": quantized(None)}):
        folds = fold_attention(BLOCK, plans)
        assert not folds.output.balanced
        assert folds.maps.multiplier(2) is None


def test_heads_that_share_values_are_not_folded():
    with pytest.raises(ValueError, match="maps: with shared value heads"):
        fold_attention(dataclasses.replace(BLOCK, key_value_heads=2), {})
