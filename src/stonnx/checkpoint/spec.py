"""What a checkpoint says about a model, as data: no file handles, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stonnx.artifact.manifest import Kind, PaddingSide, Similarity

__all__ = [
    "Classification",
    "ModelSpec",
    "ModuleEntry",
    "Prompts",
]


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Prompt texts by name, and the one to use when the caller names none."""

    texts: Mapping[str, str] = field(default_factory=dict)
    default_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModuleEntry:
    """One module after the transformer, as ``modules.json`` lists it; its own files are not read yet.

    Attributes:
        kind: Class name in sentence-transformers, such as ``Pooling``.
        path: Sub-folder that holds its files, POSIX, "" for the root; None for a module that no file describes and
            that works with its defaults.
    """

    kind: str
    path: str | None


@dataclass(frozen=True, kw_only=True)
class Classification:
    """What a cross-encoder answers with.

    Attributes:
        labels: Names of the labels in the order of the logits; one label is a score.
        activation: Class name in ``torch.nn`` of what is applied to the logits; ``"Identity"`` for nothing.
    """

    labels: tuple[str, ...]
    activation: str


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A Sentence Transformers model, read.

    Attributes:
        name: The source as the user gave it (folder name or hub id).
        revision: Commit of the hub repository; None for a folder.
        kind: ``"embedding"``: a text gives a vector; ``"reranker"`` (a cross-encoder): a pair of texts gives scores.
        config: The transformer's ``config.json``.
        modules: The modules after the transformer, in order, as they are listed; none for a reranker.
        classification: Labels and activation of a reranker; None for other kinds.
        tokenizer_json: The effective tokenizer: text of a ``tokenizer.json`` without truncation and padding.
        max_tokens: Longest token row, special tokens included, as sentence-transformers takes it from the files; None
            where they name no limit. The architecture may have room for less.
        max_seq_length: What the author of the model asked for by this name; None where they did not.
        pad_id: Id of the padding token.
        padding_side: Where the tokenizer fills up a row that is shorter than others.
        token_types: Whether the tokenizer tells the two texts of a pair apart for the model (``token_type_ids``); where
            it does not, every token has type 0.
        largest_id: Largest id of the tokenizer's vocabulary, added tokens included.
        prompts: Prompts carried over.
        similarity: Similarity function name; None where the source names none.
        truncate_dim: Components kept by default; None for all.
        transformer_path: Sub-folder of the transformer's config, tokenizer and weights; "" for the root.
        notes: What was assumed and should be told to the user, one sentence each
            (such as "no modules.json: mean pooling, as sentence-transformers does").
    """

    name: str
    revision: str | None
    kind: Kind = "embedding"
    config: Mapping[str, Any]
    modules: tuple[ModuleEntry, ...]
    classification: Classification | None = None
    tokenizer_json: str
    max_tokens: int | None
    max_seq_length: int | None = None
    pad_id: int
    padding_side: PaddingSide = "right"
    token_types: bool = True
    largest_id: int
    prompts: Prompts
    similarity: Similarity | None
    truncate_dim: int | None
    transformer_path: str = ""
    notes: tuple[str, ...] = ()
