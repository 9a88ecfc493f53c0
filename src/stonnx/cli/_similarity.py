"""Embeddings and their cosines, as small tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stonnx.cli._console import Output
from stonnx.cli._text import plural

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["print_cosines", "print_embeddings"]

_TEXTS_SHOWN = 20
_COMPONENTS_SHOWN = 3
_COSINES_SHOWN = 8


def print_embeddings(output: Output, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Per text its number, the first components and the length of its embedding; cosines for 2 to 8 texts.

    Args:
        output: Where to print.
        texts: At least one.
        vectors: float32, shape (texts, dimension).
    """
    import numpy as np

    norms = np.linalg.norm(vectors, axis=1)
    rows = [
        (
            f"{at + 1}  {text}",
            " ".join(f"{component:+.3f}" for component in vectors[at, :_COMPONENTS_SHOWN]) + " ...",
            f"{norms[at]:.4f}",
        )
        for at, text in enumerate(texts[:_TEXTS_SHOWN])
    ]
    output.table(("text", f"{vectors.shape[1]} components", "length"), rows, shorten=True)
    if len(texts) > _TEXTS_SHOWN:
        output.text(f"and {plural(len(texts) - _TEXTS_SHOWN, 'more text')}; --json or --output give everything")
    if 2 <= len(texts) <= _COSINES_SHOWN:
        output.heading("Cosine similarity")
        print_cosines(output, texts, vectors)


def print_cosines(output: Output, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """The cosine of every pair of texts.

    Args:
        output: Where to print.
        texts: At most 8.
        vectors: float32, shape (texts, dimension).
    """
    import numpy as np

    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosines = unit @ unit.T  # (texts, texts)
    rows = [(f"{at + 1}  {text}", *(f"{cosine:.2f}" for cosine in cosines[at])) for at, text in enumerate(texts)]
    output.table(("", *(str(at + 1) for at in range(len(texts)))), rows, shorten=True)
