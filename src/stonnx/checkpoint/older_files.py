"""Vocabularies of folders that are older than ``tokenizer.json``, as the part of one that they stand for."""

from __future__ import annotations

from typing import Any

from stonnx.checkpoint.bert_tokenizer import read_vocab
from stonnx.checkpoint.source import SourceFolder
from stonnx.errors import CheckpointError

__all__ = ["older_document"]


def older_document(folder: SourceFolder, prefix: str, class_name: str) -> dict[str, Any] | None:
    """What ``tokenizer.json`` would hold of a vocabulary in other files.

    RoBERTa's are ``vocab.json`` and ``merges.txt``, MPNet's is ``vocab.txt``; SentencePiece's binary file is not read.

    Args:
        folder: The model.
        prefix: Sub-folder of the tokenizer with a trailing slash; "" for the root.
        class_name: The tokenizer class, without "Fast".

    Returns:
        An object with a ``model``; None where the files are not there, or the class has none that are read.

    Raises:
        CheckpointError: A file is damaged.
    """
    if class_name == "RobertaTokenizer" and all(folder.exists(prefix + name) for name in ("vocab.json", "merges.txt")):
        vocab = folder.read_object(f"{prefix}vocab.json")
        return {"model": {"type": "BPE", "vocab": vocab, "merges": _merges(folder, f"{prefix}merges.txt")}}
    if class_name == "MPNetTokenizer" and folder.exists(f"{prefix}vocab.txt"):
        return {"model": {"type": "WordPiece", "vocab": read_vocab(folder.read_text(f"{prefix}vocab.txt"))}}
    return None


def _merges(folder: SourceFolder, name: str) -> list[list[str]]:
    """Pairs of pieces, one pair a line, the first of them applied first."""
    lines = [line for line in folder.read_text(name).split("\n") if line and not line.startswith("#version")]
    pairs = [line.split(" ") for line in lines]
    for number, pair in enumerate(pairs, start=1):
        if len(pair) != 2:
            raise CheckpointError(f"{name}: pair {number} is {lines[number - 1][:80]!r}; expected two pieces.")
    return pairs
