"""Which rows run together: batches planned by tokens, longest first.

For example::

    plan = plan_batches(rows.lengths, batch_tokens=1024, equal_lengths=True)
    for index in plan:                       # row numbers of one engine run
        ...
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stonnx.runtime.token_rows import TokenRows

__all__ = ["DEFAULT_BATCH_TOKENS", "plan_batches", "plan_rows"]

DEFAULT_BATCH_TOKENS = 1024
"""Rows times longest row of one run: enough to keep the matrix products busy, little enough for small activations."""

# Where padding is allowed, at most 1/8 of a batch's area: wasted work stays small, and runs stay few.
_PADDING_PARTS = 8


# What a batch is worth cutting down to, so that every stream has one: below that, a run is mostly overhead.
_SMALLEST_SHARE_TOKENS = 64


def plan_batches(
    lengths: NDArray[np.int64], *, batch_tokens: int, equal_lengths: bool, streams: int = 1
) -> list[NDArray[np.int64]]:
    """Split rows into batches whose area (rows times longest row) stays within a budget.

    Rows are sorted by token count, longest first (the memory peak comes at once), ties in input
    order, so the plan depends on nothing but the arguments.

    Args:
        lengths: Token count of each row, int64, shape (rows).
        batch_tokens: Largest area of a batch, at least 1; a row longer than that goes alone.
        equal_lengths: All rows of a batch must have the same token count. Otherwise shorter rows may
            join, while padding stays below an eighth of the area.
        streams: Batches that run at a time. With more than one, few rows go into smaller batches, so that each
            stream gets its share, and batches are sorted by area, largest first, so that streams end together.

    Returns:
        Row numbers of each batch, int64, never empty; every row is in exactly one batch.
    """
    if len(lengths) < 2:
        return [np.zeros(1, dtype=np.int64)] if len(lengths) else []
    order = np.argsort(-lengths, kind="stable")
    ordered = np.maximum(lengths[order], 1)  # a row without tokens runs as one padding token
    split = _split_equal if equal_lengths else _split_padded
    if streams == 1:
        return split(order, ordered, batch_tokens)
    share = -(-int(ordered.sum()) // streams)
    batches = split(order, ordered, min(batch_tokens, max(share, _SMALLEST_SHARE_TOKENS)))
    # The sort is stable: batches of one area stay longest first.
    return sorted(batches, key=lambda batch: -len(batch) * max(1, int(lengths[batch[0]])))


def plan_rows(
    rows: TokenRows, *, batch_tokens: int, equal_lengths: bool, streams: int, one_prompt_length: bool
) -> list[NDArray[np.int64]]:
    """As ``plan_batches``, for token rows that may have prompts of several lengths.

    Args:
        rows: Token rows.
        batch_tokens: Largest area of a batch.
        equal_lengths: All rows of a batch must have the same token count.
        streams: Batches that run at a time.
        one_prompt_length: All rows of a batch must have the same prompt length: the graph takes one number.

    Returns:
        Row numbers of each batch, int64, never empty; every row is in exactly one batch.
    """
    lengths, prompts = rows.lengths, rows.prompt_lengths
    if prompts is None or not one_prompt_length:
        return plan_batches(lengths, batch_tokens=batch_tokens, equal_lengths=equal_lengths, streams=streams)
    groups = (np.flatnonzero(prompts == length) for length in np.unique(prompts))
    return [
        group[batch]
        for group in groups
        for batch in plan_batches(
            lengths[group], batch_tokens=batch_tokens, equal_lengths=equal_lengths, streams=streams
        )
    ]


def _split_equal(order: NDArray[np.int64], ordered: NDArray[np.int64], batch_tokens: int) -> list[NDArray[np.int64]]:
    batches: list[NDArray[np.int64]] = []
    borders = np.flatnonzero(np.diff(ordered)) + 1
    for start, stop in zip([0, *borders], [*borders, len(order)], strict=True):
        group = order[start:stop]
        capacity = max(1, batch_tokens // int(ordered[start]))
        # Even parts: a full batch and a remainder of one row would be slower than two halves.
        batches.extend(np.array_split(group, -(-len(group) // capacity)))
    return batches


def _split_padded(order: NDArray[np.int64], ordered: NDArray[np.int64], batch_tokens: int) -> list[NDArray[np.int64]]:
    batches: list[NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        longest = int(ordered[start])
        candidates = ordered[start : start + max(1, batch_tokens // longest)]
        area = longest * np.arange(1, len(candidates) + 1)
        padding = area - np.cumsum(candidates)
        # Rows get shorter, so the share of padding only grows: the ones that fit come first.
        rows = int(np.count_nonzero(padding * _PADDING_PARTS <= area))
        batches.append(order[start : start + rows])
        start += rows
    return batches
