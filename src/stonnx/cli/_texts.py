"""Where the texts to encode come from."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from stonnx.errors import UsageError

__all__ = ["texts_to_encode"]


def texts_to_encode(artifact: str, given: Sequence[str], file: str | None) -> Iterable[str]:
    """The texts: those given, else those of the file, else the lines of stdin as they arrive.

    Args:
        artifact: As on the command line, for the hint.
        given: Texts of the command line.
        file: ``--file``; ``-`` is stdin, None none.

    Raises:
        UsageError: Two places were named, or none and nobody pipes anything in, or the file is no text file.
    """
    if given and file is not None:
        raise UsageError("Texts were given twice, on the command line and with --file.", hint="Leave one of them out.")
    if given:
        return given
    if file is not None and file != "-":
        return _file_texts(Path(file))
    # None where stdin is closed.
    stdin: TextIO | None = sys.stdin
    if stdin is None or (file is None and stdin.isatty()):
        raise UsageError(
            "There are no texts to encode.", hint=f'stonnx encode {artifact} "a text", or --file FILE, or a pipe'
        )
    if isinstance(stdin, io.TextIOWrapper):
        stdin.reconfigure(encoding="utf-8-sig", errors="strict", newline="\n")
    return _lines(stdin, "stdin")


def _file_texts(path: Path) -> Iterable[str]:
    if path.suffix == ".jsonl":
        from stonnx.verify import read_texts

        return read_texts(path)
    try:
        stream = path.open(encoding="utf-8-sig", newline="\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    return _lines(stream, str(path))


def _lines(stream: TextIO, name: str) -> Iterator[str]:
    """One text per line, empty ones included, so that the embedding of line n is row n."""
    with stream:
        try:
            for line in stream:
                yield line.removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise UsageError(f"{name} is not UTF-8.", hint="Convert it first, for example with iconv.") from error
