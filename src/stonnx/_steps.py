"""How library code tells what it does: a caller's functions hear of each step and its parts, and nobody else does.

For example::

    tell = Telling(step=print, part=lambda done, total: print(done, "of", total))
    tell.step("calibrating and rounding layer by layer")
    tell.part(1, 12)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["UNTOLD", "OnPart", "OnStep", "Telling", "nobody", "silent"]

OnStep = Callable[[str], None]
"""Called with a short phrase before a step begins, such as ``"measuring fp32"``: for people, not to be parsed."""

OnPart = Callable[[int, int], None]
"""Called as a step goes on, with how many of its parts are done and how many there are in all.

The parts take about equally long, so that the time left can be told from those that are done.
"""


def silent(_: str) -> None:
    """Say nothing: what library code does where the caller gave no function."""


def nobody(_done: int, _total: int) -> None:
    """Say nothing of the parts of a step: what library code does where the caller gave no function."""


@dataclass(frozen=True, kw_only=True)
class Telling:
    """Whom library code tells what it does.

    Attributes:
        step: Hears of the step that begins.
        part: Hears how far the step is that began last.
    """

    step: OnStep = silent
    part: OnPart = nobody


UNTOLD = Telling()
"""For callers who want to hear nothing."""
