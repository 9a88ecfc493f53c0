"""Goldens: probe texts and the original model's vectors, kept in the artifact.

``golden.json`` holds the texts and which reference made the vectors; ``golden.safetensors`` holds
the vectors as one float32 tensor named ``vectors``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stonnx._hub_layout import blob_stores
from stonnx._io import contained_path, write_bytes, write_json
from stonnx.artifact.strict_json import read_strict_json
from stonnx.errors import ArtifactError, UsageError

__all__ = ["GOLDEN_TEXTS_NAME", "GOLDEN_VECTORS_NAME", "Goldens", "read_goldens", "write_goldens"]

GOLDEN_TEXTS_NAME = "golden.json"
GOLDEN_VECTORS_NAME = "golden.safetensors"
_TENSOR = "vectors"


@dataclass(frozen=True)
class Goldens:
    """Texts and the embeddings that the original model gives them.

    Attributes:
        texts: The texts, as they were written (lone surrogates included).
        vectors: float32, shape (texts, dimension).
        reference: What made the vectors, such as ``{"sentence-transformers": "6.2.0", "dtype": "float32"}``.
    """

    texts: tuple[str, ...]
    vectors: NDArray[np.float32]
    reference: dict[str, str]


def write_goldens(folder: Path, goldens: Goldens) -> None:
    """Write ``golden.json`` and ``golden.safetensors`` into ``folder``.

    Each file appears whole, but not the two as one: until a manifest lists them, nobody reads them.

    Raises:
        UsageError: The vectors are not finite float32 of shape (texts, dimension).
    """
    from safetensors.numpy import save

    problem = _problem(goldens.texts, goldens.vectors)
    if problem:
        raise UsageError(f"These goldens cannot be written: {problem}.")
    write_bytes(folder / GOLDEN_VECTORS_NAME, save({_TENSOR: np.ascontiguousarray(goldens.vectors)}))
    write_json(folder / GOLDEN_TEXTS_NAME, {"reference": goldens.reference, "texts": list(goldens.texts)})


def read_goldens(folder: Path) -> Goldens | None:
    """Read the goldens of an artifact folder; None when it has none.

    Raises:
        ArtifactError: Only one of the two files is there, one is damaged, or they disagree.
    """
    described, stored = (
        contained_path(folder, name, error=ArtifactError, extra_roots=blob_stores(folder))
        for name in (GOLDEN_TEXTS_NAME, GOLDEN_VECTORS_NAME)
    )
    if not described.exists() and not stored.exists():
        return None
    texts, reference = _read_texts(described)
    vectors = _read_vectors(stored)
    problem = _problem(texts, vectors)
    if problem:
        raise ArtifactError(f"The goldens of {folder} are damaged: {problem}.")
    return Goldens(texts, vectors, reference)


def _read_texts(path: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    value = read_strict_json(path)
    if not isinstance(value, dict) or set(value) != {"reference", "texts"}:
        raise ArtifactError(f"{path}: expected an object with the keys reference and texts.")
    texts, reference = value["texts"], value["reference"]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ArtifactError(f"{path}: texts: expected a list of strings.")
    if not isinstance(reference, dict) or not all(isinstance(item, str) for item in reference.values()):
        raise ArtifactError(f"{path}: reference: expected an object of strings.")
    return tuple(texts), reference


def _read_vectors(path: Path) -> NDArray[np.float32]:
    from safetensors import SafetensorError, safe_open

    try:
        with cast("Any", safe_open)(path, framework="numpy") as tensors:
            names = list(tensors.keys())
            if names != [_TENSOR]:
                raise ArtifactError(f"{path}: expected one tensor named {_TENSOR!r}, found {names}.")
            dtype = tensors.get_slice(_TENSOR).get_dtype()
            if dtype != "F32":
                raise ArtifactError(f"{path}: expected float32 vectors (F32), found {dtype}.")
            return cast("NDArray[np.float32]", tensors.get_tensor(_TENSOR))
    except FileNotFoundError as exc:
        raise ArtifactError(f"{path} does not exist, but {GOLDEN_TEXTS_NAME} does.") from exc
    except (OSError, SafetensorError) as exc:
        raise ArtifactError(f"{path} is damaged: {exc}") from exc


def _problem(texts: tuple[str, ...], vectors: NDArray[np.float32]) -> str | None:
    """What is wrong with a pair of texts and vectors; None when nothing is."""
    if vectors.dtype != np.float32:
        return f"expected float32 vectors, found {vectors.dtype}"
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        return f"expected vectors of shape (texts, dimension), found {vectors.shape}"
    if len(texts) != len(vectors):
        return f"there are {len(texts)} texts and {len(vectors)} vectors"
    if not np.isfinite(vectors).all():
        return "some vectors are not finite"
    return None
