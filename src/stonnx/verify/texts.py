"""Texts and labelled pairs from files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stonnx.errors import UsageError

__all__ = ["LabelledPair", "read_pairs", "read_texts"]


@dataclass(frozen=True)
class LabelledPair:
    """Two texts and how similar people say they are; any scale, higher is more similar."""

    first: str
    second: str
    score: float


def read_texts(path: str | Path) -> tuple[str, ...]:
    """Read texts: a ``.jsonl`` file of objects with a ``text``, else one text a line.

    Raises:
        UsageError: The file cannot be read, has no texts, or a line is not as expected.
    """
    path = Path(path)
    if path.suffix == ".jsonl":
        texts = tuple(_text_field(path, number, row, "text") for number, row in _json_rows(path))
    else:
        lines = (line.removesuffix("\r") for line in _content(path).split("\n"))
        texts = tuple(line for line in lines if line)  # splitlines would also cut at U+2028 and form feeds
    if not texts:
        raise UsageError(f"{path} has no texts.", hint='Give one text a line, or JSON lines with a "text" key.')
    return texts


def read_pairs(path: str | Path) -> tuple[LabelledPair, ...]:
    """Read labelled pairs: ``.jsonl`` with ``s1``, ``s2``, ``score``; ``.csv`` or ``.tsv`` with those three columns.

    A heading row in a table is skipped when its third cell is not a number.

    Raises:
        UsageError: The file cannot be read, has fewer than two pairs, or a line is not as expected.
    """
    path = Path(path)
    pairs = tuple(_json_pairs(path) if path.suffix == ".jsonl" else _table_pairs(path))
    if len(pairs) < 2:
        raise UsageError(f"{path} has {len(pairs)} labelled pairs, expected at least 2.")
    return pairs


def _json_pairs(path: Path) -> Iterator[LabelledPair]:
    for number, row in _json_rows(path):
        score = row.get("score")
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
            raise UsageError(f'{path}, line {number}: "score" is {score!r}, expected a number.')
        yield LabelledPair(_text_field(path, number, row, "s1"), _text_field(path, number, row, "s2"), float(score))


def _table_pairs(path: Path) -> Iterator[LabelledPair]:
    delimiter = "," if path.suffix == ".csv" else "\t"
    rows = csv.reader(_content(path).splitlines(), delimiter=delimiter)
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        if len(row) != 3:
            raise UsageError(
                f"{path}, line {number}: {len(row)} columns, expected 3 (text, text, score).",
                hint="Use .tsv for tabs, .csv for commas, .jsonl for JSON lines.",
            )
        try:
            score = float(row[2])
        except ValueError as exc:
            if number == 1:
                continue
            raise UsageError(f"{path}, line {number}: the score {row[2]!r} is not a number.") from exc
        yield LabelledPair(row[0], row[1], score)


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in enumerate(_content(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as exc:
            raise UsageError(f"{path}, line {number}: not JSON ({exc}).") from exc
        if not isinstance(row, dict):
            raise UsageError(f"{path}, line {number}: {type(row).__name__}, expected a JSON object.")
        yield number, row


def _text_field(path: Path, number: int, row: dict[str, object], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise UsageError(f'{path}, line {number}: "{key}" is {value!r:.40}, expected a text.')
    return value


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path} is not UTF-8.", hint="Convert it, for example with iconv.") from exc
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
