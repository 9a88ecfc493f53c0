"""The two sides of a comparison: a name and a way to turn texts into vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Artifact
from stonnx.errors import UsageError

if TYPE_CHECKING:
    from stonnx.runtime import Encoder

__all__ = ["Pair", "Side", "open_pair"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way to encode.

    Attributes:
        name: What a report calls it.
        encode: Texts in, float32 of shape (texts, dimension) out; batches as it likes.
        versions: Versions of the libraries at work, by name, where they are not those of this installation.
    """

    name: str
    encode: Callable[[Sequence[str]], NDArray[np.float32]]
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Side ``a`` is the artifact under test, side ``b`` what it is measured against.

    Attributes:
        a: The artifact.
        b: The other side.
        variant: What ran on side a.
        threads: Threads of either side.
        streams: Engine runs at a time on side a.
    """

    a: Side
    b: Side
    variant: str
    threads: int
    streams: int


@contextlib.contextmanager
def open_pair(artifact: Artifact, *, variant: str, against: str | Path | None, threads: int | None) -> Iterator[Pair]:
    """Load both sides with the same thread count, and release them at the end.

    Args:
        artifact: The artifact under test.
        variant: Variant of side a, or ``"auto"``.
        against: The original model for side b; None for the artifact's own portable graph.
        threads: Threads of either side; None for those that side a takes by itself, tuned ones or all cores.

    Raises:
        MissingExtraError: ``against`` is given, and torch or sentence-transformers is not installed.
        UsageError: There is no such variant, or both sides would run the same one.
    """
    with contextlib.ExitStack() as stack:
        if against is not None:  # a missing extra is told before anything is loaded
            from stonnx.reference import import_reference

            import_reference()
        encoder = _load(artifact, variant, threads, stack)
        chosen, count = encoder.variant.name, encoder.threads
        if against is not None:
            other = _reference_side(against, count)
        else:
            portable = _load(artifact, "portable", count, stack)
            other = _artifact_side(portable)
            if portable.variant.name == chosen:
                raise UsageError(
                    f"Both sides would run the variant {chosen!r}.",
                    hint="Name another variant, or the original model as against='...'.",
                    cli_hint="Name another variant with --variant, or the original model with --against.",
                )
        yield Pair(a=_artifact_side(encoder), b=other, variant=chosen, threads=count, streams=encoder.streams)


def _load(artifact: Artifact, variant: str, threads: int | None, stack: contextlib.ExitStack) -> Encoder:
    from stonnx.runtime import Encoder

    return stack.enter_context(contextlib.closing(Encoder.load(artifact, variant=variant, threads=threads)))


def _artifact_side(encoder: Encoder) -> Side:
    return Side(name=f"stonnx {encoder.variant.name}", encode=encoder.encode)


def _reference_side(source: str | Path, threads: int) -> Side:
    from stonnx.reference import ReferenceEncoder

    encoder = ReferenceEncoder.load(source, threads=threads)
    version = encoder.versions.get("sentence-transformers", "")
    name = f"sentence-transformers {version}".strip()
    versions = {library: found for library, found in encoder.versions.items() if library != "dtype"}
    return Side(name=name, encode=encoder.encode, versions=versions)
