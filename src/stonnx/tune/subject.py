"""What is tuned: how a kind of model is loaded, run and compared. One class for each kind, and a table of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from stonnx._queries import query_calls
from stonnx._timing import Item, short_texts
from stonnx.artifact import AnyGoldens, Artifact
from stonnx.artifact.manifest import Kind
from stonnx.errors import UnsupportedModelError, UsageError
from stonnx.runtime import Encoder, Reranker
from stonnx.runtime.streams import RunSettings
from stonnx.tune.fidelity import Reference, make_pair_reference, make_reference
from stonnx.verify import AnyVariantReport, measure_scores, measure_variant

__all__ = ["Call", "Model", "Subject", "subject_of"]

Model = Encoder | Reranker
"""Runs a variant of an artifact."""

Call = str | Sequence[Item]
"""What one call of a model runs: a text, texts, or pairs."""

_SHORT_TEXTS = 8
_QUERIES = 4

ModelT = TypeVar("ModelT")


class Subject(Protocol[ModelT]):
    """What is tuned: a kind of model, and what it takes."""

    def load(self, artifact: Artifact, variant: str, settings: RunSettings | None = None) -> ModelT:
        """Load a variant, with other settings than its default ones unless None.

        Raises:
            StonnxError: It cannot be loaded.
        """

    def run(self, model: ModelT, call: Call) -> object:
        """What is timed."""

    def single_calls(self, items: Sequence[Item]) -> tuple[Call, ...]:
        """What is answered at once, from the user's texts or pairs: one short text, or one query's documents."""

    def reference(self, base: ModelT, items: Sequence[Item]) -> Reference[AnyGoldens]:
        """What every variant is compared with.

        Raises:
            StonnxError: The goldens are damaged, or the engine failed.
        """

    def measure(self, model: ModelT, reference: Reference[Any]) -> AnyVariantReport:
        """Compare a variant.

        Raises:
            RunError: The engine failed.
        """


class _Embeddings:
    """Encodes texts."""

    def load(self, artifact: Artifact, variant: str, settings: RunSettings | None = None) -> Encoder:
        return Encoder.load(artifact, variant=variant, **_as_options(settings))

    def run(self, model: Encoder, call: Any) -> object:
        return model.encode(call)

    def single_calls(self, items: Sequence[Any]) -> tuple[Call, ...]:
        return short_texts(items, _SHORT_TEXTS) or tuple(items[:1])

    def reference(self, base: Encoder, items: Sequence[Item]) -> Reference[AnyGoldens]:
        return make_reference(base, items)

    def measure(self, model: Encoder, reference: Reference[Any]) -> AnyVariantReport:
        return measure_variant(model, reference.goldens)


class _Scores:
    """Scores pairs."""

    def load(self, artifact: Artifact, variant: str, settings: RunSettings | None = None) -> Reranker:
        return Reranker.load(artifact, variant=variant, **_as_options(settings))

    def run(self, model: Reranker, call: Any) -> object:
        return model.predict(call)

    def single_calls(self, items: Sequence[Any]) -> tuple[Call, ...]:
        return query_calls(items, queries=_QUERIES)

    def reference(self, base: Reranker, items: Sequence[Any]) -> Reference[AnyGoldens]:
        return make_pair_reference(base, items)

    def measure(self, model: Reranker, reference: Reference[Any]) -> AnyVariantReport:
        return measure_scores(model, reference.goldens)


_SUBJECTS: dict[Kind, Subject[Any]] = {"embedding": _Embeddings(), "reranker": _Scores()}


def subject_of(artifact: Artifact, items: Sequence[Item]) -> Subject[Any]:
    """How an artifact is tuned for texts or pairs.

    Args:
        artifact: The artifact.
        items: Texts, or for a reranker pairs of a query and a document.

    Raises:
        UnsupportedModelError: Models of its kind cannot be tuned.
        UsageError: There is nothing to tune for, or texts for a reranker, or pairs for another model.
    """
    kind = artifact.manifest.kind
    if kind not in _SUBJECTS:
        raise UnsupportedModelError(f"A model of the kind {kind!r} cannot be tuned yet.")
    wants_pairs = kind == "reranker"
    if any(isinstance(item, str) is wants_pairs for item in items):
        raise _wrong_items(artifact, wants_pairs=wants_pairs)
    return _SUBJECTS[kind]


def _as_options(settings: RunSettings | None) -> dict[str, int | None]:
    if settings is None:
        return {}
    streams = None if settings.by_call else settings.streams
    return {"threads": settings.threads, "streams": streams, "batch_tokens": settings.batch_tokens}


def _wrong_items(artifact: Artifact, *, wants_pairs: bool) -> UsageError:
    if wants_pairs:
        return UsageError(
            f"{artifact.path} takes pairs of a query and a document; something else was given to tune for.",
            hint="Give pairs like those that will be run.",
            cli_hint="Give pairs with --pairs FILE.",
        )
    return UsageError(
        f"{artifact.path} takes texts; something else was given to tune for.",
        hint="Give texts like those that will be run.",
        cli_hint="Give texts with --texts FILE.",
    )
