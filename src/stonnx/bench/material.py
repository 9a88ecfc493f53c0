"""What a benchmark of a model runs: the user's texts or pairs, or the shipped ones, and the protocols for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from stonnx._timing import Item
from stonnx.artifact import Artifact
from stonnx.bench.choose import checked_texts, text_language
from stonnx.bench.pairs import bench_pairs, checked_pairs
from stonnx.bench.protocols import Protocol, pair_protocols, protocols
from stonnx.bench.texts import bench_texts
from stonnx.errors import UsageError

__all__ = ["checked_items", "chosen_items", "chosen_protocols"]


def checked_items(items: Sequence[Item]) -> tuple[Item, ...]:
    """Distinct texts, or distinct pairs, in order.

    Raises:
        UsageError: There is none, or something in it is neither.
    """
    if not isinstance(items, str) and len(items) and isinstance(items[0], (tuple, list)):
        return checked_pairs(cast("Sequence[tuple[str, str]]", items))
    return checked_texts(cast("Sequence[str]", items))


def chosen_items(artifact: Artifact, given: tuple[Item, ...] | None) -> tuple[Item, ...]:
    """What was given, or else the shipped texts or pairs in the language of the model's vocabulary.

    Raises:
        UsageError: Texts for a reranker, or pairs for another model.
        ArtifactError: The tokenizer's path leaves the folder.
    """
    is_reranker = artifact.manifest.kind == "reranker"
    if given is None:
        language = text_language(artifact)
        return bench_pairs(language) if is_reranker else bench_texts(language)
    if isinstance(given[0], str) is is_reranker:
        raise _wrong_items(artifact, is_reranker=is_reranker)
    return given


def chosen_protocols(artifact: Artifact, items: tuple[Item, ...], *, quick: bool) -> tuple[Protocol, ...]:
    """The protocols for a kind of model.

    Args:
        artifact: The model.
        items: From ``chosen_items``.
        quick: As in ``protocols``.
    """
    if artifact.manifest.kind == "reranker":
        return pair_protocols(cast("tuple[tuple[str, str], ...]", items))
    return protocols(cast("tuple[str, ...]", items), quick=quick)


def _wrong_items(artifact: Artifact, *, is_reranker: bool) -> UsageError:
    if is_reranker:
        return UsageError(
            f"{artifact.path} is a reranker: it scores pairs, not texts.",
            hint="Give pairs of a query and a document.",
            cli_hint="Give pairs of a query and a document with --pairs FILE.",
        )
    return UsageError(
        f"{artifact.path} is no reranker: it encodes texts, not pairs.",
        hint="Give texts.",
        cli_hint="Give texts with --texts FILE.",
    )
