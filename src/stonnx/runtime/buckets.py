"""Shape buckets: few distinct shapes, for engines that prepare kernels per shape.

For example::

    for part, padded in Buckets(limit=512, pad_id=0).parts(feeds):
        (vectors,) = run(padded)             # the first rows are those of feeds[part]
        results.append(vectors[: part.stop - part.start])
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact.manifest import PaddingSide
from stonnx.runtime.feeds import TOKEN_INPUTS, Feeds, feeds_shape

__all__ = ["Buckets", "bucket_rows", "bucket_tokens"]

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


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """Cuts and pads the feeds of a run to shapes out of few.

    Attributes:
        limit: Widest run that the model takes, in tokens.
        pad_id: Token that fills short rows.
        padding_side: Where they are filled.
    """

    limit: int
    pad_id: int
    padding_side: PaddingSide = "right"

    def parts(self, feeds: Feeds) -> Iterator[tuple[slice, Feeds]]:
        """The runs to make instead of one.

        Rows become wider only where there is an ``attention_mask`` to say so; without one only rows are added.

        Args:
            feeds: Of at least one row; ``input_ids`` is among them.

        Yields:
            Rows of ``feeds``, and feeds to run for them, of which the first rows are theirs. The others repeat
            the first row, so that they are as valid as it is; their results are to be dropped.
        """
        rows, tokens = feeds_shape(feeds)
        width = bucket_tokens(tokens, limit=self.limit) if "attention_mask" in feeds else tokens
        start = 0
        for height in bucket_rows(rows):
            part = slice(start, min(start + height, rows))
            yield part, {name: self._padded(name, values, part, (height, width)) for name, values in feeds.items()}
            start += height

    def _padded(self, name: str, values: NDArray[np.int64], part: slice, shape: tuple[int, int]) -> NDArray[np.int64]:
        """One input of a part; what is the same for all rows stays as it is."""
        height, width = shape
        if name in TOKEN_INPUTS:
            return _pad(values[part], height, self._columns(width - values.shape[1]), fill=self._fill(name))
        return _pad(values[part], height, (), fill=0) if values.shape[:1] > (1,) else values

    def _columns(self, missing: int) -> tuple[tuple[int, int], ...]:
        return ((0, missing) if self.padding_side == "right" else (missing, 0),)

    def _fill(self, name: str) -> int:
        return self.pad_id if name == "input_ids" else 0


def _pad(
    values: NDArray[np.int64], height: int, columns: tuple[tuple[int, int], ...], *, fill: int
) -> NDArray[np.int64]:
    """Columns before and after, and then the first row again until there are ``height`` rows."""
    wide = np.pad(values, ((0, 0), *columns), constant_values=fill) if columns else values
    return np.concatenate([wide, np.repeat(wide[:1], height - len(wide), axis=0)])
