"""What is done to a text before any tokenizer sees it, the same on both sides of a comparison."""

from __future__ import annotations

__all__ = ["clean_text", "is_tokenizer_failure"]


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


def is_tokenizer_failure(error: BaseException) -> bool:
    """Whether an exception is the tokenizers library's word that it cannot use a file, or use it on a text.

    It raises plain ``Exception`` among others; some files make it panic, which is a
    ``BaseException`` whose class it does not export. A lack of memory is not the file's fault.
    """
    if isinstance(error, MemoryError):
        return False
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
