"""Splits the few components of an input that stand far above the others: one of them widens the steps of all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["lay_out", "part_counts", "split_outliers"]

_HIGHEST = 64  # components that are looked at, so that many tokens can be


def split_outliers(levels: NDArray[np.float32], weights: NDArray[np.float32], budget: int) -> NDArray[np.int64]:
    """The components to take in several equal parts, so that the error of the products gets small.

    Outlier channel splitting (Zhao et al. 2019, arXiv:1901.09504), for inputs: a component becomes n of a size of 1/n,
    each times the weights that the whole was multiplied with. That lowers the step of tokens in which it is the
    highest; its own error becomes n steps in all tokens, because its parts are rounded alike.

    Greedily, one part after the other goes to the component that is highest in the most and the highest tokens; of all
    numbers of parts on this way, the one with the smallest expected error is taken.

    Args:
        levels: Absolute values, float32, shape (tokens, in), at least one token.
        weights: Energy of the weights of each component, float32, shape (in,).
        budget: How many parts to add at most.

    Returns:
        int64, sorted: a component that becomes n parts is there n - 1 times.
    """
    order = np.argsort(-levels.max(axis=0), kind="stable")
    top, rest = order[:_HIGHEST], order[_HIGHEST:]
    # One more column for all others together: it can be the highest, but is not split.
    others = levels[:, rest].max(axis=1, initial=0.0)
    whole = np.concatenate([levels[:, top], others[:, None]], axis=1).astype(np.float64)
    energy = np.append(weights[top], weights[rest].sum()).astype(np.float64)
    parts = np.ones(len(top) + 1)
    added: list[int] = []
    least, best_length = np.inf, 0
    for length in range(budget + 1):
        current = whole / parts
        squares = np.square(current.max(axis=1))
        error = float(squares.sum() * (energy @ np.square(parts)))
        if error < least:
            least, best_length = error, length
        # What the square of a token's highest component loses by one more part.
        highest = current.argmax(axis=1)
        lost = squares * (1 - np.square(parts / (parts + 1)))[highest]
        gain = np.bincount(highest, weights=lost, minlength=len(parts))[:-1]
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        parts[best] += 1
        added.append(int(top[best]))
    return np.array(sorted(added[:best_length]), dtype=np.int64)


def part_counts(copies: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """How many parts each component has, float32, shape (width,)."""
    return (1 + np.bincount(copies, minlength=width)).astype(np.float32)


def lay_out(copies: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of a matrix whose input is split: the components, and behind them the copies.

    The weights of a component's parts are equal, and large. Two of them in neighbouring rows would double what a scale
    has to leave room for (``LARGEST_PAIR``), so a row without weights comes behind each copy but the last.

    Args:
        copies: From ``split_outliers``.
        width: Components of the input.

    Returns:
        The component that each row is multiplied with, int64, and the share of the component's weights that the row
        has, float32, both of shape (rows,).
    """
    behind = np.zeros(max(2 * len(copies) - 1, 0), dtype=np.int64)
    behind[::2] = copies
    rows = np.concatenate([np.arange(width), behind])
    shares = (1 / part_counts(copies, width))[rows]
    shares[width + 1 :: 2] = 0
    return rows, shares
