"""What is done to a text before any tokenizer sees it, the same on both sides of a comparison."""

from __future__ import annotations

__all__ = ["clean_text"]


def clean_text(text: str) -> str:
    """Make a text valid Unicode: surrogate pairs are joined, lone surrogates become U+FFFD.

    A Python str may hold surrogate code points (from JSON escapes, file names or JavaScript);
    tokenizers refuse them. Texts without any come back unchanged.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
