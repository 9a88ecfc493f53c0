"""Where the texts of a verb come from: the command line, a file, or stdin."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from stonnx.errors import UsageError
from stonnx.texts import STDIN, iter_texts, read_texts

__all__ = ["TextPlaces", "add_prompt", "add_text_file", "texts_of_file", "texts_of_verb", "utf8_text"]


def add_text_file(parser: argparse.ArgumentParser, flag: str, about: str, *, default: str | None = None) -> None:
    """Add the option that names a file of texts, and ``--jsonl``, which says how to read it.

    Args:
        parser: The verb's.
        flag: Such as ``--texts``.
        about: What the texts are for; the formats follow.
        default: What is used without the option; None for nothing to mention.
    """
    formats = 'one per line, or .jsonl/.ndjson with a "text" key; "-": stdin'
    ending = "" if default is None else f" (default: {default})"
    parser.add_argument(flag, metavar="FILE", help=f"{about}{formats}{ending}")
    parser.add_argument("--jsonl", action="store_true", help="the texts are JSON lines, whatever the name of FILE")


def add_prompt(parser: argparse.ArgumentParser, *, before: str) -> None:
    """Add ``--prompt`` and ``--prompt-name``, of which one may be given.

    Args:
        parser: The verb's.
        before: What the prompt is put before.
    """
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument("--prompt", metavar="PROMPT", type=utf8_text, help=f"a text to put before {before}")
    prompt.add_argument(
        "--prompt-name",
        metavar="NAME",
        type=utf8_text,
        help="a prompt of the model's own; 'stonnx info' lists them",
    )


def utf8_text(argument: str) -> str:
    """A text of the command line, for ``type=``: what the shell passed, read as UTF-8 in any locale.

    Python decodes arguments by the locale, and keeps the bytes that it cannot decode as lone surrogates.

    Raises:
        argparse.ArgumentTypeError: The bytes are not UTF-8.
    """
    if not any("\udc80" <= char <= "\udcff" for char in argument):
        return argument
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError as exc:
        raise argparse.ArgumentTypeError(f"expected UTF-8, found {argument!r:.60}") from exc


def texts_of_file(flag: str, file: str | None, *, jsonl: bool) -> tuple[str, ...] | None:
    """The texts of the file that ``add_text_file``'s option names; None where it was not given.

    Raises:
        UsageError: The file cannot be read or has no texts, or there is ``--jsonl`` without it.
    """
    if file is not None:
        return read_texts(file, jsonl=jsonl)
    if jsonl:
        raise UsageError(f"--jsonl says how to read {flag}, which was not given.", hint=f"Add {flag} FILE.")
    return None


@dataclass(frozen=True, kw_only=True)
class TextPlaces:
    """Where a verb's texts may come from, for its messages.

    Attributes:
        noun: What the texts are, in the plural.
        flag: The option that names their file.
        example: A command that gives some.
    """

    noun: str
    flag: str
    example: str


def texts_of_verb(
    given: Sequence[str], file: str | None, places: TextPlaces, *, jsonl: bool = False, keep_empty: bool = True
) -> Iterable[str]:
    """The texts: those given, else those of the file, else the lines of stdin as they arrive.

    Args:
        given: Texts of the command line.
        file: What the option says; ``-`` is stdin, None none.
        places: The verb's words for its places.
        jsonl: The file, or stdin, is JSON lines whatever its name.
        keep_empty: An empty line is a text too, so that the text of line n is the n-th.

    Raises:
        UsageError: Two places were named, or none and nobody pipes anything in, or the file cannot be opened.
    """
    what = places.noun.capitalize()
    if given and file is not None:
        raise UsageError(
            f"{what} were given twice, on the command line and with {places.flag}.", hint="Leave one of them out."
        )
    if given and jsonl:
        raise UsageError(
            f"--jsonl says how to read {places.flag} or stdin, and the {places.noun} were given on the command line."
        )
    if given:
        return given
    # None where stdin is closed.
    stdin: TextIO | None = sys.stdin
    if file is None and (stdin is None or stdin.isatty()):
        raise UsageError(f"There are no {places.noun}.", hint=f"{places.example}, or {places.flag} FILE, or a pipe")
    return iter_texts(STDIN if file is None else file, jsonl=jsonl, keep_empty=keep_empty)
