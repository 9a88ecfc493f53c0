"""How library code tells what it is about to do: a caller's function hears of each step, and nobody else does."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["OnStep", "silent"]

OnStep = Callable[[str], None]
"""Called with a short phrase before a step begins, such as ``"measuring fp32"``: for people, not to be parsed."""


def silent(_: str) -> None:
    """Say nothing: what library code does where the caller gave no function."""
