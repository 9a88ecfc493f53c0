"""Numbers and strings, made fit for people."""

from __future__ import annotations

__all__ = ["plural", "printable", "seconds_text", "shortened", "size_text"]

_ZERO_WIDTH_JOINER = "\u200d"  # holds emoji together, harmless


def printable(text: str) -> str:
    r"""The text with control characters spelled out (``\x1b``), so that it cannot drive a terminal."""
    return "".join(
        char if char.isprintable() or char == _ZERO_WIDTH_JOINER else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def size_text(size_bytes: int) -> str:
    """A file size in decimal units: ``712 B``, ``90.9 MB``."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def seconds_text(seconds: float) -> str:
    """A duration: ``0.04 s``, ``12.3 s``, ``2 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def plural(count: int, noun: str) -> str:
    """``1 text``, ``1,000 texts``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def shortened(text: str, room: int) -> str:
    """The text cut to so many characters, with an ellipsis where something is missing."""
    return text if len(text) <= room else f"{text[: max(0, room - 1)]}…"
