"""Token rows to the arrays that a graph takes: the one place where feeds are made.

For example::

    feeds = make_feeds(rows, index, inputs=("input_ids", "attention_mask"), pad_id=0)
    (vectors,) = engine.run(feeds, ["sentence_embedding"])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact.manifest import PaddingSide
from stonnx.errors import ArtifactError
from stonnx.runtime.token_rows import TokenRows

__all__ = ["ONE_PROMPT_LENGTH", "PROMPT_LENGTHS", "TOKEN_INPUTS", "Feeds", "feeds_shape", "make_feeds"]

Feeds: TypeAlias = Mapping[str, NDArray[np.int64]]
"""What one run of a graph is fed, by the names of its inputs."""

TOKEN_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""The inputs of shape (rows, tokens)."""

PROMPT_LENGTHS = "prompt_lengths"
"""Tokens that pooling leaves out, shape (1,) for all rows or (rows,) for each."""

ONE_PROMPT_LENGTH = "prompt_length"
"""The same as a scalar, in older artifacts: all rows of a run have one length."""


def make_feeds(
    rows: TokenRows,
    index: NDArray[np.int64],
    *,
    inputs: Sequence[str],
    pad_id: int,
    padding_side: PaddingSide = "right",
) -> dict[str, NDArray[np.int64]]:
    """The feeds of one run: some rows, padded to the longest of them.

    A row without a single token attends to one padding token: a mask of zeros has no mean.

    Args:
        rows: All token rows.
        index: Row numbers, int64, shape (rows of the run,), not empty.
        inputs: Names of the graph's inputs to feed.
        pad_id: Token that fills short rows.
        padding_side: Where they are filled; rows of equal length are the same either way.

    Returns:
        int64 arrays by input name: those of ``TOKEN_INPUTS`` of shape (rows of the run, longest), ``prompt_lengths``
        of shape (1,) or (rows of the run,), ``prompt_length`` a scalar.

    Raises:
        ArtifactError: An input's name is unknown.
        ValueError: The graph takes one prompt length for all rows, and these have several.
    """
    grid = _Grid(rows, index, padding_side)
    return {name: _feed(name, grid, pad_id) for name in inputs}


def feeds_shape(feeds: Feeds) -> tuple[int, int]:
    """Rows and tokens of a run."""
    rows, tokens = feeds["input_ids"].shape
    return rows, tokens


class _Grid:
    """The rows of one run and the rectangle that they are laid out in."""

    def __init__(self, rows: TokenRows, index: NDArray[np.int64], padding_side: PaddingSide) -> None:
        self.rows = rows
        self.index = index
        self.padding_side = padding_side

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each row begins among all tokens, shape (rows, 1)."""
        return self.rows.offsets[self.index][:, None]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, shape (rows, 1)."""
        return self.rows.offsets[self.index + 1][:, None] - self.starts

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Rows and tokens of the run."""
        return len(self.index), max(1, int(self.lengths.max()))

    @cached_property
    def is_full(self) -> bool:
        """Whether there is no padding."""
        return int(self.lengths.min()) == self.shape[1]

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """Which token of its row a cell holds: negative, or beyond the row, for padding; shape (1 or rows, longest)."""
        longest = self.shape[1]
        columns = np.arange(longest)[None, :]
        return columns if self.is_full or self.padding_side == "right" else columns - (longest - self.lengths)

    @cached_property
    def filled(self) -> NDArray[np.bool_]:
        """Whether a cell holds a token, shape (rows, longest)."""
        return (self.columns >= 0) & (self.columns < self.lengths)

    def lay_out(self, values: NDArray[np.int32], *, fill: int) -> NDArray[np.int64]:
        """A value per token as a rectangle, int64, shape (rows, longest)."""
        places = self.starts + self.columns
        if self.is_full:
            full: NDArray[np.int64] = values[places].astype(np.int64)
            return full
        laid_out = np.full(self.shape, fill, dtype=np.int64)
        laid_out[self.filled] = values[places[self.filled]]
        return laid_out

    def mask(self) -> NDArray[np.int64]:
        """1 for what is attended to, int64, shape (rows, longest)."""
        if self.is_full:
            return np.ones(self.shape, dtype=np.int64)
        mask = self.filled.astype(np.int64)
        mask[self.lengths[:, 0] == 0, 0 if self.padding_side == "right" else -1] = 1
        return mask


def _feed(name: str, grid: _Grid, pad_id: int) -> NDArray[np.int64]:
    match name:
        case "input_ids":
            return grid.lay_out(grid.rows.ids, fill=pad_id)
        case "attention_mask":
            return grid.mask()
        case "token_type_ids":
            types = grid.rows.token_type_ids
            return np.zeros(grid.shape, dtype=np.int64) if types is None else grid.lay_out(types, fill=0)
        case "prompt_lengths":
            return _prompt_lengths(grid)
        case "prompt_length":
            lengths = set(_prompt_lengths(grid).tolist())
            if len(lengths) != 1:
                raise ValueError(f"One run cannot have the prompt lengths {sorted(lengths)}: this graph takes one.")
            return np.array(lengths.pop(), dtype=np.int64)
        case _:
            raise ArtifactError(f"The manifest feeds an input {name!r} that this stonnx does not know.")


def _prompt_lengths(grid: _Grid) -> NDArray[np.int64]:
    lengths = grid.rows.prompt_lengths
    return np.zeros(1, dtype=np.int64) if lengths is None else lengths[grid.index]
