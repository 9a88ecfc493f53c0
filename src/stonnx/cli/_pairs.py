"""Where the pairs of a verb that also takes texts come from: a file, for rerankers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stonnx.cli._texts import texts_of_file
from stonnx.errors import UsageError

if TYPE_CHECKING:
    from stonnx._timing import Item

__all__ = ["add_pair_file", "items_of_files"]


def add_pair_file(parser: argparse.ArgumentParser, about: str) -> None:
    """Add the option that names a file of pairs.

    Args:
        parser: The verb's; it has ``--texts`` as well.
        about: What the pairs are for; the formats follow.
    """
    formats = "query and document as two columns in .tsv or .csv, or .jsonl with s1 and s2"
    parser.add_argument("--pairs", metavar="FILE", help=f"of a reranker, {about}: {formats} (default: shipped ones)")


def items_of_files(args: argparse.Namespace) -> tuple[Item, ...] | None:
    """The texts of ``--texts`` or the pairs of ``--pairs``; None where neither was given.

    Raises:
        UsageError: Both were given, or a file cannot be read or holds nothing.
    """
    texts = texts_of_file("--texts", args.texts, jsonl=args.jsonl)
    if args.pairs is None:
        return texts
    if texts is not None:
        raise UsageError(
            "--texts and --pairs were both given.", hint="A reranker takes pairs, other models take texts."
        )
    from stonnx.verify import read_unlabelled_pairs

    return read_unlabelled_pairs(args.pairs)
