"""The two sides of a comparison: a name, and a way to encode texts or to score pairs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Artifact
from stonnx.errors import UnsupportedModelError, UsageError

if TYPE_CHECKING:
    from stonnx.reference import PositionCut
    from stonnx.runtime import Encoder, Reranker

__all__ = ["Side", "Sides", "open_sides"]

# Texts or pairs, whichever the model takes.
Run = Callable[[Sequence[Any]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way to run a model.

    Attributes:
        name: What a report calls it.
        run: What is timed: texts in, vectors out, or pairs in, scores out. It makes batches as it likes.
        results: What the two sides are compared by, float32, shape (texts, dimension): vectors, or of a reranker
            logits, shape (pairs, labels).
        versions: Versions of the libraries that run it, by name, where they are not those of this installation.
        position_cut: Where the original was cut for want of positions; None where it was not, and of artifacts.
    """

    name: str
    run: Run
    results: Run
    versions: dict[str, str] = field(default_factory=dict)
    position_cut: PositionCut | None = None


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Side ``a`` is the artifact under test, side ``b`` what it is measured against.

    Attributes:
        a: The artifact.
        b: The other side.
        variant: What ran on side a.
        threads: Threads of either side.
        streams: The most engine runs at a time on side a.
    """

    a: Side
    b: Side
    variant: str
    threads: int
    streams: int


@contextlib.contextmanager
def open_sides(artifact: Artifact, *, variant: str, against: str | Path | None, threads: int | None) -> Iterator[Sides]:
    """Load both sides with the same thread count, and release them at the end.

    Args:
        artifact: The artifact under test.
        variant: Variant of side a, or ``"auto"``.
        against: The original model for side b; None for the artifact's own portable graph.
        threads: Threads of either side; None for those that side a takes by itself, tuned ones or all cores.

    Raises:
        MissingExtraError: ``against`` is given, and torch or sentence-transformers is not installed.
        UnsupportedModelError: There is no benchmark for this kind of model.
        UsageError: There is no such variant, or both sides would run the same one.
    """
    with contextlib.ExitStack() as stack:
        if against is not None:  # a missing extra is an error before anything is loaded
            from stonnx.reference import import_reference

            import_reference()
        model = _load(artifact, variant, threads, stack)
        chosen, count = model.variant.name, model.threads
        if against is not None:
            other = _reference_side(against, count, is_reranker=artifact.manifest.kind == "reranker")
        else:
            portable = _load(artifact, "portable", count, stack)
            other = _artifact_side(portable)
            if portable.variant.name == chosen:
                raise UsageError(
                    f"Both sides would run the variant {chosen!r}.",
                    hint="Name another variant, or the original model as against='...'.",
                    cli_hint="Name another variant with --variant, or the original model with --against.",
                )
        yield Sides(a=_artifact_side(model), b=other, variant=chosen, threads=count, streams=model.streams)


def _load(artifact: Artifact, variant: str, threads: int | None, stack: contextlib.ExitStack) -> Encoder | Reranker:
    from stonnx import runtime

    kind = artifact.manifest.kind
    if kind == "reranker":
        reranker = runtime.Reranker.load(artifact, variant=variant, threads=threads)
        return stack.enter_context(contextlib.closing(reranker))
    if kind != "embedding":
        raise UnsupportedModelError(f"There is no benchmark for a model of the kind {kind!r} yet.")
    return stack.enter_context(contextlib.closing(runtime.Encoder.load(artifact, variant=variant, threads=threads)))


def _artifact_side(model: Encoder | Reranker) -> Side:
    name = f"stonnx {model.variant.name}"
    if model.artifact.manifest.kind == "embedding":
        encoder = cast("Encoder", model)
        return Side(name=name, run=encoder.encode, results=encoder.encode)
    reranker = cast("Reranker", model)

    def scores(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        return np.asarray(reranker.predict(pairs))

    def logits(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        return np.asarray(reranker.predict(pairs, activation_fn="Identity")).reshape(len(pairs), -1)

    return Side(name=name, run=scores, results=logits)


def _reference_side(source: str | Path, threads: int, *, is_reranker: bool) -> Side:
    from stonnx.reference import ReferenceEncoder, ReferenceReranker

    original = (ReferenceReranker if is_reranker else ReferenceEncoder).load(source, threads=threads)
    version = original.versions.get("sentence-transformers", "")
    name = f"sentence-transformers {version}".strip()
    versions = {library: found for library, found in original.versions.items() if library != "dtype"}
    run, results = (
        (original.scores, original.logits)
        if isinstance(original, ReferenceReranker)
        else (original.encode, original.encode)
    )
    return Side(name=name, run=run, results=results, versions=versions, position_cut=original.position_cut)
