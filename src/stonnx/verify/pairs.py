"""Labelled pairs from files."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stonnx.errors import UsageError
from stonnx.texts import is_jsonl, json_rows, numbered_lines, source_name, text_field

__all__ = ["LabelledPair", "read_pairs"]

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


def _json_pairs(source: str | Path) -> Iterator[LabelledPair]:
    for number, row in json_rows(source):
        score = row.get("score")
        finite = None if isinstance(score, bool) or not isinstance(score, (int, float)) else _finite(score)
        if finite is None:
            raise UsageError(f'{source_name(source)}, line {number}: "score" is {score!r:.40}, expected a number.')
        yield LabelledPair(text_field(source, number, row, "s1"), text_field(source, number, row, "s2"), finite)


def _table_pairs(source: str | Path) -> Iterator[LabelledPair]:
    rows = _csv_rows(source) if Path(source).suffix.lower() == ".csv" else _tsv_rows(source)
    for at, (number, row) in enumerate(rows):
        if len(row) != 3:
            raise UsageError(
                f"{source_name(source)}, line {number}: {len(row)} columns, expected 3 (text, text, score).",
                hint="Use .tsv for tabs, .csv for commas, .jsonl for JSON lines.",
            )
        try:
            score = _finite(float(row[2]))
        except ValueError:
            if at == 0:
                continue
            score = None
        if score is None:
            raise UsageError(f"{source_name(source)}, line {number}: the score {row[2]!r:.40} is not a finite number.")
        yield LabelledPair(row[0], row[1], score)


def _finite(number: float) -> float | None:
    """The number as a float; None where it is no finite one."""
    try:
        return float(number) if math.isfinite(number) else None
    except OverflowError:  # an integer of hundreds of digits
        return None


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
