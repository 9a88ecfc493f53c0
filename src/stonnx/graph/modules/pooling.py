"""Pooling: token vectors (rows, tokens, width) to one vector (rows, width) per mode.

The six modes of sentence-transformers' Pooling module, from standard operators. A graph without
a mask (all rows of equal length) gets the shorter forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, get_args

import numpy as np
from onnx import TensorProto

from stonnx._fields import Fields
from stonnx.artifact import Stage
from stonnx.errors import UnsupportedModelError
from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.modules.base import (
    SENTENCE_EMBEDDING,
    TOKEN_EMBEDDINGS,
    Draft,
    Features,
    ModuleSource,
    ModuleTarget,
    Widths,
)
from stonnx.graph.parts import integer

__all__ = ["Pooling", "PoolingMode"]

PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]

_KNOWN: tuple[PoolingMode, ...] = get_args(PoolingMode)
# One boolean per mode, as releases before 5.4 write them, in the order in which the modes are concatenated.
_FLAGS: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_KEYS = {"embedding_dimension", "word_embedding_dimension", "pooling_mode", "include_prompt", *_FLAGS}

_FLOAT = {"to": TensorProto.FLOAT}
_EPS = 1e-9  # sentence-transformers' floor for the sum of a mask


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """Token vectors to one vector.

    Attributes:
        modes: What is taken of the tokens; the results of several modes are concatenated in this order.
        include_prompt: False leaves the tokens of the prompt out.
    """

    modes: tuple[PoolingMode, ...] = ("mean",)
    include_prompt: bool = True

    kind: ClassVar[str] = "Pooling"
    listed: ClassVar[bool] = True

    @classmethod
    def read(cls, source: ModuleSource) -> Self:
        """Read the module's configuration.

        Raises:
            CheckpointError: It is missing or damaged, or a value has the wrong type.
            UnsupportedModelError: An option that is not authored.
        """
        config = source.config()
        unknown = sorted(set(config) - _KEYS)
        if unknown:
            raise UnsupportedModelError(
                f"{config.name} has pooling options that stonnx does not know: {', '.join(unknown)}.",
                hint="Only the options of sentence-transformers' own Pooling module are converted.",
            )
        return cls(modes=_read_modes(config), include_prompt=config.flag("include_prompt", default=True))

    def widths(self, given: Widths) -> Widths:
        """One token vector's width per mode.

        Raises:
            UnsupportedModelError: There is a Pooling module before it.
        """
        if SENTENCE_EMBEDDING in given:
            raise UnsupportedModelError(
                "The model has more than one Pooling module; stonnx converts chains with exactly one.",
                hint="Several pooling modes in one Pooling module are fine.",
            )
        return {**given, SENTENCE_EMBEDDING: given[TOKEN_EMBEDDINGS] * len(self.modes)}

    def author(self, draft: Draft, given: Features) -> Features:
        """The sentence vector, shape (rows, len(modes) * width); without ``attention_mask`` every token is real."""
        g = draft.g
        tokens = _Tokens(g, given[TOKEN_EMBEDDINGS], draft.inputs)
        pooled = [_MODES[mode](tokens) for mode in self.modes]
        vector = pooled[0] if len(pooled) == 1 else g.op("Concat", pooled, attributes={"axis": -1})
        return {**given, SENTENCE_EMBEDDING: vector}

    def describe(self) -> Stage:
        """The module as the manifest tells it."""
        options: dict[str, object] = {"pooling_mode": list(self.modes), "include_prompt": self.include_prompt}
        return Stage(kind=self.kind, options=options)

    def write(self, target: ModuleTarget) -> None:
        """The old booleans, which every release reads; the new key only for an order they cannot say."""
        width = target.given[TOKEN_EMBEDDINGS]
        config: dict[str, object] = {
            "embedding_dimension": width,
            "pooling_mode": list(self.modes),
            "include_prompt": self.include_prompt,
        }
        if self.modes == tuple(mode for mode in _FLAGS.values() if mode in self.modes):
            flags = {key: mode in self.modes for key, mode in _FLAGS.items()}
            config = {"word_embedding_dimension": width, **flags, "include_prompt": self.include_prompt}
        target.write_config(config)


def _read_modes(config: Fields) -> tuple[PoolingMode, ...]:
    if "pooling_mode" not in config:
        return tuple(mode for key, mode in _FLAGS.items() if config.flag(key, default=False)) or ("mean",)
    value = config.get("pooling_mode")
    wanted = [value] if isinstance(value, str) else value
    if not isinstance(wanted, list) or not wanted:
        raise config.wrong("pooling_mode", "a mode or a list of modes")
    if len(wanted) > len(_KNOWN):
        raise UnsupportedModelError(
            f"{config.name}: pooling_mode lists {len(wanted)} modes; stonnx authors each of the {len(_KNOWN)} once at "
            "most."
        )
    modes = tuple(mode for item in wanted for mode in _KNOWN if mode == item)
    if len(modes) != len(wanted):
        unknown = ", ".join(repr(item) for item in wanted if item not in _KNOWN)
        raise UnsupportedModelError(
            f"{config.name}: stonnx does not know the pooling mode {unknown}.", hint=f"It knows {', '.join(_KNOWN)}."
        )
    return modes


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
        return self._inputs.attention_mask is None and self._inputs.prompt_lengths is None

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
        if self._inputs.prompt_lengths is None:
            return self.real
        if self._pooled is None:
            g = self.g
            lengths = g.op("Unsqueeze", [self._inputs.prompt_lengths, g.ints(1)])  # (rows, 1), or (1, 1) for all
            first = g.op("Add", [_first(g, self.real), lengths])  # (rows, 1)
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
        return g.op("Range", [integer(g, 0), length, integer(g, 1)])


def _cls(t: _Tokens) -> str:
    if t.unmasked:
        return t.g.op("Gather", [t.hidden, integer(t.g, 0)], attributes={"axis": 1})
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
        return g.op("Gather", [t.hidden, integer(g, -1)], attributes={"axis": 1})
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
