"""Token rows of unequal length, end to end in one array: what tokenizers give and batches are made from.

For example::

    rows = join_rows([of_one_request, of_another])
    rows.lengths          # int64, shape (rows,)
    rows.take(index)      # some of them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TokenRows", "join_rows"]


@dataclass(frozen=True, kw_only=True)
class TokenRows:
    """Token rows of unequal length, end to end in one array.

    Attributes:
        ids: int32, shape (tokens of all rows).
        offsets: int64, shape (rows + 1); row ``i`` is ``ids[offsets[i]:offsets[i + 1]]``.
        truncated: How many rows were cut at the limit.
        token_type_ids: int32, shape (tokens of all rows), which text of a pair a token belongs to; None: all are 0.
        prompt_lengths: Leading tokens of each row that pooling leaves out, int64, shape (rows,); None: 0 for all.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    truncated: int
    token_type_ids: NDArray[np.int32] | None = None
    prompt_lengths: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Token count of each row, int64, shape (rows)."""
        return np.diff(self.offsets)

    def take(self, index: NDArray[np.int64]) -> TokenRows:
        """Some of the rows, in the order of ``index``; ``truncated`` is not counted again.

        Args:
            index: Row numbers, int64, shape (chosen rows,).
        """
        types = self.token_type_ids
        return TokenRows(
            ids=self._tokens_of(index, self.ids),
            offsets=np.concatenate([[0], np.cumsum(self.lengths[index])]),
            truncated=0,
            token_type_ids=None if types is None else self._tokens_of(index, types),
            prompt_lengths=None if self.prompt_lengths is None else self.prompt_lengths[index],
        )

    def _tokens_of(self, index: NDArray[np.int64], values: NDArray[np.int32]) -> NDArray[np.int32]:
        chosen = [values[self.offsets[row] : self.offsets[row + 1]] for row in index]
        return np.concatenate(chosen) if chosen else values[:0]


def join_rows(parts: Sequence[TokenRows]) -> TokenRows:
    """The rows of several requests after one another, whatever their prompts.

    Args:
        parts: Any number of token rows; ``truncated`` is their sum.
    """
    lengths = [part.lengths for part in parts]
    typed = any(part.token_type_ids is not None for part in parts)
    prompted = any(part.prompt_lengths is not None for part in parts)
    nothing = np.empty(0, dtype=np.int32)
    return TokenRows(
        ids=np.concatenate([nothing, *(part.ids for part in parts)]),
        offsets=np.concatenate([[0], *lengths]).cumsum(dtype=np.int64),
        truncated=sum(part.truncated for part in parts),
        token_type_ids=np.concatenate([nothing, *map(_types, parts)]) if typed else None,
        prompt_lengths=np.concatenate([np.empty(0, dtype=np.int64), *map(_prompt_lengths, parts)])
        if prompted
        else None,
    )


def _types(rows: TokenRows) -> NDArray[np.int32]:
    return np.zeros_like(rows.ids) if rows.token_type_ids is None else rows.token_type_ids


def _prompt_lengths(rows: TokenRows) -> NDArray[np.int64]:
    return np.zeros(len(rows), dtype=np.int64) if rows.prompt_lengths is None else rows.prompt_lengths
