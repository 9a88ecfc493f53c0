"""The two sides of a comparison: a name and a way to turn texts into vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Artifact
from stonnx.errors import UsageError

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
    """Side ``a`` is the artifact under test (``variant`` is what ran), side ``b`` what it is measured against."""

    a: Side
    b: Side
    variant: str


@contextlib.contextmanager
def open_pair(artifact: Artifact, *, variant: str, against: str | Path | None, threads: int) -> Iterator[Pair]:
    """Load both sides with the same thread count, and release them at the end.

    Args:
        artifact: The artifact under test.
        variant: Variant of side a, or ``"auto"``.
        against: The original model for side b; None for the artifact's own portable graph.
        threads: Threads of either side.

    Raises:
        MissingExtraError: ``against`` is given, and torch or sentence-transformers is not installed.
        UsageError: There is no such variant, or both sides would run the same one.
    """
    with contextlib.ExitStack() as stack:
        # The other side first: a missing extra is told before anything else is loaded.
        other = None if against is None else _reference_side(against, threads)
        a, chosen = _artifact_side(artifact, variant, threads, stack)
        if other is None:
            other, portable = _artifact_side(artifact, "portable", threads, stack)
            if portable == chosen:
                raise UsageError(
                    f"Both sides would run the variant {chosen!r}.",
                    hint="Name another variant, or the original model as against='...'.",
                    cli_hint="Name another variant with --variant, or the original model with --against.",
                )
        yield Pair(a=a, b=other, variant=chosen)


def _artifact_side(artifact: Artifact, variant: str, threads: int, stack: contextlib.ExitStack) -> tuple[Side, str]:
    """A side that runs the artifact, and the name of the variant that it runs."""
    from stonnx.runtime import Encoder

    encoder = stack.enter_context(contextlib.closing(Encoder.load(artifact, variant=variant, threads=threads)))
    name = encoder.variant.name
    return Side(name=f"stonnx {name}", encode=encoder.encode), name


def _reference_side(source: str | Path, threads: int) -> Side:
    from stonnx.reference import ReferenceEncoder

    encoder = ReferenceEncoder.load(source, threads=threads)
    version = encoder.versions.get("sentence-transformers", "")
    name = f"sentence-transformers {version}".strip()
    versions = {library: found for library, found in encoder.versions.items() if library != "dtype"}
    return Side(name=name, encode=encoder.encode, versions=versions)
