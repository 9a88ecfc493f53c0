"""Splits the few components of an input that are far larger than the others and would coarsen the steps of all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["lay_out", "part_counts", "split_outliers"]

_HIGHEST = 64  # only so many components are considered: the search stays fast with many tokens


def split_outliers(levels: NDArray[np.float32], weights: NDArray[np.float64], budget: int) -> NDArray[np.int64]:
    """Choose the components to split into several equal parts, so that the error of the products gets small.

    Outlier channel splitting (Zhao et al. 2019, arXiv:1901.09504), for inputs: a component becomes n components of
    1/n of its size, each multiplied with the weights of the whole. That makes the step smaller in tokens where it is
    the highest. Its own error becomes n steps in all tokens, because its parts are rounded alike.

    The search is greedy: each further part goes to the component whose split lowers the squared steps most. Of all
    the numbers of parts that the search passes, the one with the smallest expected error is taken.

    Args:
        levels: Absolute values, float32, shape (tokens, in), at least one token.
        weights: Energy of the weights of each component, float64, shape (in,).
        budget: How many parts to add at most.

    Returns:
        int64, sorted: a component that becomes n parts is there n - 1 times.
    """
    order = np.argsort(-levels.max(axis=0), kind="stable")
    top, rest = order[:_HIGHEST], order[_HIGHEST:]
    # One more column stands for all others: it can be the highest, but is not split.
    without = levels.copy()
    without[:, top] = 0
    others = without.max(axis=1)
    whole = np.concatenate([levels[:, top], others[:, None]], axis=1).astype(np.float64)
    energy = np.append(weights[top], weights[rest].sum())
    parts = np.ones(len(top) + 1)
    added: list[int] = []
    least, best_length = np.inf, 0
    current = whole.copy()
    highest = current.argmax(axis=1)
    squares = np.square(current.max(axis=1))
    for length in range(budget + 1):
        error = float(squares.sum() * (energy @ np.square(parts)))
        if error < least:
            least, best_length = error, length
        # By how much one more part lowers the square of a token's highest component.
        lost = squares * (1 - np.square(parts / (parts + 1)))[highest]
        gain = np.bincount(highest, weights=lost, minlength=len(parts))[:-1]
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        parts[best] += 1
        added.append(int(top[best]))
        current[:, best] = whole[:, best] / parts[best]
        lower = np.flatnonzero(highest == best)  # in other tokens, the highest component is still the highest
        highest[lower] = current[lower].argmax(axis=1)
        squares[lower] = np.square(current[lower, highest[lower]])
    return np.array(sorted(added[:best_length]), dtype=np.int64)


def part_counts(copies: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """How many parts each component has, float32, shape (width,)."""
    return (1 + np.bincount(copies, minlength=width)).astype(np.float32)


def lay_out(copies: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of a matrix whose input is split: the components, and after them the copies.

    The weights of a component's parts are equal, and large. Two of them in neighbouring rows would double what a scale
    has to leave room for (``LARGEST_PAIR``), so a row without weights follows each copy but the last.

    Args:
        copies: From ``split_outliers``.
        width: Components of the input.

    Returns:
        The component that each row is multiplied with, int64, and the share of the component's weights that the row
        has, float32, both of shape (rows,).
    """
    repeated = np.zeros(max(2 * len(copies) - 1, 0), dtype=np.int64)
    repeated[::2] = copies
    rows = np.concatenate([np.arange(width), repeated])
    shares = (1 / part_counts(copies, width))[rows]
    shares[width + 1 :: 2] = 0
    return rows, shares
