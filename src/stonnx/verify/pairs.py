"""Pairs of texts from files, labelled or not.

read_pairs("sts.tsv")  # a text, a text and a score on every line
read_unlabelled_pairs("pairs.tsv")  # a query and a document on every line; a score after them is not read
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stonnx.errors import UsageError
from stonnx.texts import is_jsonl, json_rows, numbered_lines, source_name

__all__ = ["LabelledPair", "read_pairs", "read_unlabelled_pairs"]

_FORMATS_HINT = "Use .tsv for tabs, .csv for commas, .jsonl for JSON lines."

_Row = tuple[int, list[str]]


@dataclass(frozen=True)
class LabelledPair:
    """Two texts and how similar people say they are; any scale, higher is more similar."""

    first: str
    second: str
    score: float


def read_pairs(source: str | Path) -> tuple[LabelledPair, ...]:
    """Read labelled pairs: JSON lines with ``s1``, ``s2`` and ``score``, or a table of those three columns.

    JSON lines are files named ``.jsonl`` or ``.ndjson``. Tables named ``.csv`` are quoted as RFC 4180 has it; any other
    has tabs between its columns and no quotes. A heading row is skipped: its third cell is not a number.

    Args:
        source: A file, or ``"-"`` for stdin, which is read as a table with tabs.

    Raises:
        UsageError: The file cannot be read, has fewer than two pairs or the same score throughout, or a line is not
            as expected.
    """
    pairs = tuple(_json_pairs(source) if is_jsonl(source) else _table_pairs(source))
    if len(pairs) < 2:
        raise UsageError(f"{source_name(source)} has {len(pairs)} labelled pairs, expected at least 2.")
    if all(pair.score == pairs[0].score for pair in pairs):
        raise UsageError(
            f"{source_name(source)} has the score {pairs[0].score:g} in all of its {len(pairs):,} pairs, "
            "expected at least two different ones: equal scores have no order to compare with."
        )
    return pairs


def read_unlabelled_pairs(source: str | Path) -> tuple[tuple[str, str], ...]:
    """Read pairs of a query and a document, from the same files as ``read_pairs``; they need no scores.

    Args:
        source: A file, or ``"-"`` for stdin, which is read as a table with tabs.

    Raises:
        UsageError: The file cannot be read, has no pairs, or a line is not as expected.
    """
    pairs = tuple(_json_texts(source) if is_jsonl(source) else _table_texts(source))
    if not pairs:
        raise UsageError(f"{source_name(source)} has no pairs.", hint="Give a query and a document on every line.")
    return pairs


def _json_texts(source: str | Path) -> Iterator[tuple[str, str]]:
    for row in json_rows(source):
        yield row.text("s1"), row.text("s2")


def _table_texts(source: str | Path) -> Iterator[tuple[str, str]]:
    for number, row in _rows(source):
        if len(row) not in (2, 3):
            raise UsageError(
                f"{source_name(source)}, line {number}: {_columns(row)}, expected 2 (query, document) or 3 (and a "
                "score).",
                hint=_FORMATS_HINT,
            )
        yield row[0], row[1]


def _columns(row: Sequence[str]) -> str:
    return f"{len(row)} column{'' if len(row) == 1 else 's'}"


def _json_pairs(source: str | Path) -> Iterator[LabelledPair]:
    for row in json_rows(source):
        yield LabelledPair(row.text("s1"), row.text("s2"), row.number("score"))


def _table_pairs(source: str | Path) -> Iterator[LabelledPair]:
    for at, (number, row) in enumerate(_rows(source)):
        if len(row) != 3:
            raise UsageError(
                f"{source_name(source)}, line {number}: {_columns(row)}, expected 3 (text, text, score).",
                hint=_FORMATS_HINT,
            )
        try:
            score = float(row[2])
        except ValueError:
            if at == 0:
                continue
            score = math.nan
        if not math.isfinite(score):
            raise UsageError(f"{source_name(source)}, line {number}: the score {row[2]!r:.40} is not a finite number.")
        yield LabelledPair(row[0], row[1], score)


def _rows(source: str | Path) -> Iterator[_Row]:
    """The rows of a table, each with the number of its first line."""
    return _csv_rows(source) if Path(source).suffix.lower() == ".csv" else _tsv_rows(source)


def _tsv_rows(source: str | Path) -> Iterator[_Row]:
    for number, line in numbered_lines(source):
        text = line.removesuffix("\n").removesuffix("\r")
        if text:
            yield number, text.split("\t")


def _csv_rows(source: str | Path) -> Iterator[_Row]:
    reader = csv.reader((line for _, line in numbered_lines(source)), strict=True)
    begins = 1  # a quoted cell may go over several lines; the row is named by its first
    try:
        for row in reader:
            if row:
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as exc:
        raise UsageError(
            f"{source_name(source)}, line {begins}: not CSV ({exc}).",
            hint="A quote that is not closed swallows what follows; in a quoted cell, a quote is written twice.",
        ) from exc
