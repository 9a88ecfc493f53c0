"""Texts from files and from stdin: the one reader that every verb and every room uses.

>>> from stonnx.texts import read_texts
>>> read_texts("my-texts.txt")  # one a line; a .jsonl file has {"text": "..."} on every line; "-" is stdin
('one text', 'another, longer text')

A line ends with a line feed, which a carriage return may precede; every other character, U+2028 and form feeds
included, belongs to the text. Files are UTF-8, and one byte order mark at their start is left out.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO

from stonnx._fields import Fields
from stonnx.errors import UsageError

__all__ = [
    "STDIN",
    "is_jsonl",
    "iter_texts",
    "json_rows",
    "numbered_lines",
    "read_texts",
    "source_name",
]

STDIN = "-"
"""The name that stands for stdin; a file of that name is ``./-``."""

_JSONL_SUFFIXES = (".jsonl", ".ndjson")
_SAMPLED_LINES = 20  # enough to tell JSON lines from a text that happens to be JSON

_log = logging.getLogger(__name__)


def read_texts(source: str | Path, *, jsonl: bool = False) -> tuple[str, ...]:
    """All texts of a file, without empty lines.

    Args:
        source: A file, or ``"-"`` for stdin.
        jsonl: It is JSON lines, whatever its name; those of ``.jsonl`` and ``.ndjson`` are known by it.

    Raises:
        UsageError: As ``iter_texts``, or there are no texts.
    """
    texts = tuple(iter_texts(source, jsonl=jsonl))
    if not texts:
        raise UsageError(
            f"{source_name(source)} has no texts.", hint='Give one text a line, or JSON lines with a "text" key.'
        )
    return texts


def iter_texts(source: str | Path, *, jsonl: bool = False, keep_empty: bool = False) -> Iterator[str]:
    """The texts of a file one by one, as its lines arrive.

    Args:
        source: A file, or ``"-"`` for stdin. It is opened here and now, not with the first text.
        jsonl: It is JSON lines, whatever its name: objects with a ``text``. Lines with nothing in them are no objects.
        keep_empty: An empty line is a text too, so that the text of line n is the n-th; else it is left out.

    Raises:
        UsageError: The file cannot be read, it is not UTF-8, or a line is not as expected. What is wrong with a line
            is found when it is its turn.
    """
    if jsonl or is_jsonl(source):
        rows = json_rows(source)
        return (row.text("text") for row in rows)
    return _plain_texts(source, numbered_lines(source), keep_empty=keep_empty)


def source_name(source: str | Path) -> str:
    """What messages call a file, or stdin."""
    return "stdin" if source == STDIN else str(source)


def is_jsonl(source: str | Path) -> bool:
    """Whether the name of a file says that it is JSON lines."""
    return Path(source).suffix.lower() in _JSONL_SUFFIXES


def numbered_lines(source: str | Path) -> Iterator[tuple[int, str]]:
    """Line numbers from 1, and the lines, each with the line feed that ends it.

    Raises:
        UsageError: The file cannot be opened; while lines are taken: it cannot be read, or a line is not UTF-8.
    """
    lines = _decoded(source_name(source), _open(source), keep_open=source == STDIN)
    next(lines)  # from here on it holds the file, and closes it even where nobody takes a line
    return lines


def json_rows(source: str | Path) -> Iterator[Fields]:
    """The objects of a file of JSON lines; what is wrong with a field of one names the file and the line.

    Raises:
        UsageError: As ``numbered_lines``, or a line is not a JSON object.
    """
    return _parsed(source, numbered_lines(source))


def _plain_texts(source: str | Path, lines: Iterator[tuple[int, str]], *, keep_empty: bool) -> Iterator[str]:
    texts = (line.removesuffix("\n").removesuffix("\r") for _, line in lines)
    wanted = (text for text in texts if text or keep_empty)
    # The sample is passed on at once: whoever types at a terminal waits for each answer.
    for text in islice(wanted, _SAMPLED_LINES):
        yield text
        if _looks_like_json(text):
            _warn_of_json(source)
            break
    yield from wanted


def _warn_of_json(source: str | Path) -> None:
    _log.warning(
        '%s has lines that look like JSON objects with a "text" key; every line is taken as a text, as it stands. '
        "JSON lines are known by their name: .jsonl or .ndjson.",
        source_name(source),
        extra={"cli_hint": "--jsonl reads JSON lines from stdin and from files of any name"},
    )


def _looks_like_json(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(row.get("text"), str)


def _parsed(source: str | Path, lines: Iterator[tuple[int, str]]) -> Iterator[Fields]:
    for number, line in lines:
        if not line.strip():
            continue
        place = f"{source_name(source)}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise UsageError(f"{place}: not JSON ({_why_not_json(exc)}).") from exc
        yield Fields(place, row, error=UsageError)


def _why_not_json(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else "a number of thousands of digits"


def _open(source: str | Path) -> BinaryIO:
    if source == STDIN:
        stdin: TextIO | None = sys.stdin
        if stdin is None:  # it was closed before Python started
            raise UsageError("stdin is closed: nothing can be read from it.")
        return stdin.buffer
    try:
        return Path(source).open("rb")
    except OSError as exc:
        raise UsageError(f"{source} cannot be read: {exc.strerror or exc}.") from exc
    except ValueError as exc:  # a null character
        raise UsageError(f"{str(source)!r} cannot be the name of a file: {exc}.") from exc


def _decoded(name: str, stream: BinaryIO, *, keep_open: bool) -> Iterator[tuple[int, str]]:
    # Bytes are split and then decoded: a text stream would read ahead, and would not know the line of a bad byte.
    number = 0
    with contextlib.nullcontext() if keep_open else stream:
        yield number, ""  # the start, not a line
        try:
            for number, line in enumerate(stream, 1):
                yield number, (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode("utf-8")
        except UnicodeDecodeError as exc:
            raise UsageError(
                f"{name}, line {number}: not UTF-8.", hint="Convert it first, for example with iconv."
            ) from exc
        except OSError as exc:
            raise UsageError(f"{name} cannot be read: {exc.strerror or exc}.") from exc
