"""Shape buckets: few distinct shapes, for engines that prepare kernels per shape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stonnx.runtime.engines.base import Batch

__all__ = ["bucket_batch", "bucket_rows", "bucket_tokens"]

# (up to so many tokens, rounded up to a multiple of): 40 widths up to 512 tokens; from 25 tokens on, padding is at
# most a ninth of the width. What it costs on real texts is in docs/decisions/0006-openvino.md.
_STEPS = ((64, 4), (128, 8), (256, 16))
_LAST_STEP = 32

# Padding rows are cheaper than another run while they are at most this part of the real ones.
_PADDING_PARTS = 4


def bucket_tokens(tokens: int, *, limit: int) -> int:
    """Width that a batch is padded to.

    Args:
        tokens: Width of the batch, at least 1.
        limit: Widest batch that the model takes, in tokens; what is wider already stays as it is.

    Returns:
        ``tokens`` rounded up to a multiple of 4 (up to 64 tokens), 8 (up to 128), 16 (up to 256) or 32, but not
        beyond ``limit``.
    """
    step = next((step for widest, step in _STEPS if tokens <= widest), _LAST_STEP)
    return max(tokens, min(-(-tokens // step) * step, limit))


def bucket_rows(rows: int) -> tuple[int, ...]:
    """Heights of the runs that a batch is cut into: powers of two, the largest first.

    Args:
        rows: Rows of the batch, at least 1.

    Returns:
        Heights whose sum is ``rows`` plus padding rows, at most a quarter as many; only the last run is padded.
    """
    heights = []
    rest = rows
    while rest:
        ceiling = 1 << (rest - 1).bit_length()
        # Padding is allowed against what is left, so all of it together stays below the share, too.
        height = ceiling if (ceiling - rest) * _PADDING_PARTS <= rest else ceiling // 2
        heights.append(height)
        rest -= min(height, rest)
    return tuple(heights)


def bucket_batch(batch: Batch, *, limit: int, pad_id: int, widen: bool) -> Iterator[tuple[slice, Batch]]:
    """Cut and pad a batch to shapes out of few.

    Args:
        batch: Any batch with at least one row.
        limit: Widest batch that the model takes, in tokens.
        pad_id: Token that fills short rows.
        widen: Pad rows at the end. False for graphs without a mask: there only rows are added.

    Yields:
        Rows of ``batch``, and a batch to run for them, always with a mask, of which the first rows are theirs.
        The others repeat its first row, so that they are as valid as it is; their results are to be dropped.
    """
    rows, tokens = batch.input_ids.shape
    width = bucket_tokens(tokens, limit=limit) if widen else tokens
    mask = np.ones_like(batch.input_ids) if batch.attention_mask is None else batch.attention_mask
    start = 0
    for height in bucket_rows(rows):
        part = slice(start, min(start + height, rows))
        yield (
            part,
            Batch(
                input_ids=_pad(batch.input_ids[part], height, width, fill=pad_id),
                attention_mask=_pad(mask[part], height, width, fill=0),
                prompt_length=batch.prompt_length,
            ),
        )
        start += height


def _pad(values: NDArray[np.int64], height: int, width: int, *, fill: int) -> NDArray[np.int64]:
    rows, tokens = values.shape
    padded = np.full((height, width), fill, dtype=np.int64)
    padded[:rows, :tokens] = values
    padded[rows:] = padded[0]
    return padded
