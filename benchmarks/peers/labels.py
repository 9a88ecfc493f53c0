"""Where the names of a plot's points go: greedy, in pixels, no name on another name or on a point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Box", "place"]

_POINT = 6.0  # half the size of a marker
_GAP = 5.0  # between a name and whatever is left or right of it
_RADII = (9.0, 16.0, 26.0, 40.0, 58.0, 80.0, 110.0, 145.0, 185.0, 230.0)
_ANGLES = tuple(math.radians(degrees) for degrees in (0, 180, 90, 270, 45, 315, 135, 225, 22, 338, 158, 202))


class Box(NamedTuple):
    """Left, bottom, right and top in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        """Whether they share more than an edge."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )


def place(
    points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], frame: Box, taken: Sequence[Box]
) -> list[Box]:
    """A box per point, near it, inside the frame, on nothing else.

    Args:
        points: Centres of the markers.
        sizes: Width and height of each name.
        frame: What the names must stay in.
        taken: Boxes where no name may be, such as the legend.

    Returns:
        Boxes in the order of the points. Where there is no room at all, the first choice, on top of something.
    """
    occupied = [*taken, *(Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in points)]
    placed = []
    for point, size in zip(points, sizes, strict=True):
        candidates = list(_candidates(point, size))
        free = (box for box in candidates if _inside(box, frame) and not any(map(box.overlaps, occupied)))
        box = next(free, candidates[0])
        occupied.append(box._replace(left=box.left - _GAP, right=box.right + _GAP))
        placed.append(box)
    return placed


def _candidates(point: tuple[float, float], size: tuple[float, float]) -> Iterator[Box]:
    """Nearest first; the box touches the circle around the point from outside."""
    (x, y), (width, height) = point, size
    for radius in _RADII:
        for angle in _ANGLES:
            across, up = math.cos(angle), math.sin(angle)
            left = x + radius * across + (width / 2) * (across - 1)
            bottom = y + radius * up + (height / 2) * (up - 1)
            yield Box(left, bottom, left + width, bottom + height)


def _inside(box: Box, frame: Box) -> bool:
    return box.left >= frame.left and box.right <= frame.right and box.bottom >= frame.bottom and box.top <= frame.top
