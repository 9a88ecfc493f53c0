"""Pooling: token vectors (rows, tokens, width) to one vector (rows, width) per mode.

The six modes of sentence-transformers' Pooling module, from standard operators. A graph without
a mask (all rows of equal length) gets the shorter forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from onnx import TensorProto

from stonnx.checkpoint.spec import Pooling, PoolingMode
from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import GraphBuilder

__all__ = ["author_pooling"]

_FLOAT = {"to": TensorProto.FLOAT}
_EPS = 1e-9  # sentence-transformers' floor for the sum of a mask


class _Tokens:
    """The token vectors and, made on demand, the mask that pooling uses."""

    def __init__(self, g: GraphBuilder, hidden: str, inputs: GraphInputs) -> None:
        self.g = g
        self.hidden = hidden
        self._inputs = inputs
        self._real: str | None = None
        self._pooled: str | None = None

    @property
    def unmasked(self) -> bool:
        """Whether every token of every row counts."""
        return self._inputs.attention_mask is None and self._inputs.prompt_length is None

    @property
    def real(self) -> str:
        """1 for a token and 0 for padding, float32, shape (rows, tokens)."""
        if self._real is None:
            if self._inputs.attention_mask is not None:
                self._real = self.g.op("Cast", [self._inputs.attention_mask], attributes=_FLOAT)
            else:
                shape = self.g.op("Shape", [self._inputs.input_ids])
                self._real = self.g.op("Expand", [self.g.scalar(1.0), shape])
        return self._real

    @property
    def pooled(self) -> str:
        """As ``real``, with the tokens of the prompt set to 0 where the model leaves them out."""
        if self._inputs.prompt_length is None:
            return self.real
        if self._pooled is None:
            g = self.g
            first = g.op("Add", [_first(g, self.real), self._inputs.prompt_length])  # (rows, 1)
            positions = g.op("Unsqueeze", [self._positions(), g.ints(0)])  # (1, tokens)
            kept = g.op("GreaterOrEqual", [positions, first])
            self._pooled = g.op("Mul", [self.real, g.op("Cast", [kept], attributes=_FLOAT)])
        return self._pooled

    def column(self, mask: str) -> str:
        """A mask as a column, shape (rows, tokens, 1)."""
        return self.g.op("Unsqueeze", [mask, self.g.ints(2)])

    def ranks(self) -> str:
        """1 for the first real token, 2 for the second…, float32, shape (rows, tokens)."""
        g = self.g
        positions = g.op("Unsqueeze", [self._positions(), g.ints(0)])
        ranks = g.op("Sub", [g.op("Add", [positions, g.ints(1)]), _first(g, self.real)])
        return g.op("Cast", [ranks], attributes=_FLOAT)

    def _positions(self) -> str:
        """0, 1, … int64, shape (tokens,)."""
        g = self.g
        length = g.op("Shape", [self._inputs.input_ids], attributes={"start": 1, "end": 2})
        length = g.op("Squeeze", [length, g.ints(0)])
        zero = g.constant("int/0", np.array(0, dtype=np.int64))
        one = g.constant("int/1", np.array(1, dtype=np.int64))
        return g.op("Range", [zero, length, one])


def author_pooling(g: GraphBuilder, hidden: str, inputs: GraphInputs, module: Pooling) -> str:
    """Write a Pooling module.

    Args:
        g: The graph.
        hidden: Token vectors, shape (rows, tokens, width).
        inputs: The graph's inputs; without ``attention_mask`` every token is real.
        module: The modes, concatenated in their order.

    Returns:
        Shape (rows, len(modes) * width).
    """
    tokens = _Tokens(g, hidden, inputs)
    pooled = [_MODES[mode](tokens) for mode in module.modes]
    return pooled[0] if len(pooled) == 1 else g.op("Concat", pooled, attributes={"axis": -1})


def _cls(t: _Tokens) -> str:
    if t.unmasked:
        return t.g.op("Gather", [t.hidden, t.g.constant("int/0", np.array(0, dtype=np.int64))], attributes={"axis": 1})
    return t.g.op("GatherND", [t.hidden, _first(t.g, t.pooled)], attributes={"batch_dims": 1})


def _max(t: _Tokens) -> str:
    hidden = t.hidden
    if not t.unmasked:
        kept = t.g.op("Cast", [t.column(t.pooled)], attributes={"to": TensorProto.BOOL})
        lowest = t.g.constant("float/-inf", np.array(-np.inf, dtype=np.float32))
        hidden = t.g.op("Where", [kept, hidden, lowest])
    return t.g.op("ReduceMax", [hidden], attributes={"axes": (1,), "keepdims": 0})


def _mean(t: _Tokens) -> str:
    if t.unmasked:
        return t.g.op("ReduceMean", [t.hidden], attributes={"axes": (1,), "keepdims": 0})
    return _weighted_mean(t, t.pooled, root=False)


def _mean_sqrt_len(t: _Tokens) -> str:
    return _weighted_mean(t, t.pooled, root=True)


def _position_weighted(t: _Tokens) -> str:
    return _weighted_mean(t, t.g.op("Mul", [t.pooled, t.ranks()]), root=False)


def _last(t: _Tokens) -> str:
    g = t.g
    if t.unmasked:
        return g.op("Gather", [t.hidden, g.constant("int/-1", np.array(-1, dtype=np.int64))], attributes={"axis": 1})
    masked = g.op("Mul", [t.hidden, t.column(t.pooled)])  # a row without tokens gives zeros
    index = g.op("ArgMax", [t.pooled], attributes={"axis": 1, "keepdims": 1, "select_last_index": 1})
    return g.op("GatherND", [masked, index], attributes={"batch_dims": 1})


def _weighted_mean(t: _Tokens, weights: str, *, root: bool) -> str:
    """``Σ wᵢ xᵢ / max(Σ wᵢ, eps)``, or with the square root of the denominator."""
    g = t.g
    column = t.column(weights)
    total = g.op("ReduceSum", [g.op("Mul", [t.hidden, column]), g.ints(1)], attributes={"keepdims": 0})
    count = g.op("ReduceSum", [column, g.ints(1)], attributes={"keepdims": 0})  # (rows, 1)
    count = g.op("Max", [count, g.scalar(_EPS)])
    return g.op("Div", [total, g.op("Sqrt", [count]) if root else count])


def _first(g: GraphBuilder, mask: str) -> str:
    """Index of the first 1 of each row, int64, shape (rows, 1); 0 where there is none."""
    return g.op("ArgMax", [mask], attributes={"axis": 1, "keepdims": 1})


_MODES: Mapping[PoolingMode, Callable[[_Tokens], str]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt_len,
    "weightedmean": _position_weighted,
    "lasttoken": _last,
}
