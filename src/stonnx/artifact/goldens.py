"""Goldens: probe texts or pairs and what the original model makes of them, kept in the artifact.

``golden.json`` holds the texts (of a reranker: the pairs) and which reference ran; ``golden.safetensors`` holds what
it gave, float32: one tensor ``vectors``, or the two tensors ``scores`` and ``logits``. For example::

    goldens = Goldens(texts=("tide", "ebb"), vectors=vectors, reference={"dtype": "float32"})
    write_goldens(folder, goldens)
    read_goldens(folder)  # the same; None where a folder has none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stonnx._hub_layout import blob_stores
from stonnx._io import contained_path, write_bytes, write_json
from stonnx.artifact.strict_json import read_strict_json
from stonnx.errors import ArtifactError, UsageError

__all__ = [
    "GOLDEN_TEXTS_NAME",
    "GOLDEN_VECTORS_NAME",
    "AnyGoldens",
    "Goldens",
    "PairGoldens",
    "read_goldens",
    "write_goldens",
]

GOLDEN_TEXTS_NAME = "golden.json"
GOLDEN_VECTORS_NAME = "golden.safetensors"


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

    @property
    def width(self) -> int:
        """Components of a vector."""
        return int(self.vectors.shape[1])


@dataclass(frozen=True)
class PairGoldens:
    """Pairs and what the original reranker makes of them.

    Attributes:
        pairs: Query and document of each, as they were written (lone surrogates included).
        scores: What it gives, its activation applied; float32, shape (pairs, labels).
        logits: The same before the activation; float32, the same shape.
        reference: What made them, such as ``{"sentence-transformers": "6.2.0", "dtype": "float32"}``.
    """

    pairs: tuple[tuple[str, str], ...]
    scores: NDArray[np.float32]
    logits: NDArray[np.float32]
    reference: dict[str, str]

    @property
    def width(self) -> int:
        """How many labels a pair is scored for."""
        return int(self.scores.shape[1])


AnyGoldens = Goldens | PairGoldens
_TENSORS: dict[str, tuple[str, ...]] = {"texts": ("vectors",), "pairs": ("logits", "scores")}


def write_goldens(folder: Path, goldens: AnyGoldens) -> None:
    """Write ``golden.json`` and ``golden.safetensors`` into ``folder``.

    Each file appears whole, but not the two as one: until a manifest lists them, nobody reads them.

    Raises:
        UsageError: The arrays are not finite float32 of the right shape.
    """
    from safetensors.numpy import save

    problem = _problem(goldens)
    if problem:
        raise UsageError(f"These goldens cannot be written: {problem}.")
    if isinstance(goldens, PairGoldens):
        tensors = {"scores": goldens.scores, "logits": goldens.logits}
        described: dict[str, object] = {"pairs": [list(pair) for pair in goldens.pairs]}
    else:
        tensors = {"vectors": goldens.vectors}
        described = {"texts": list(goldens.texts)}
    stored = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})
    write_bytes(folder / GOLDEN_VECTORS_NAME, stored)
    write_json(folder / GOLDEN_TEXTS_NAME, {"reference": goldens.reference, **described})


def read_goldens(folder: Path) -> AnyGoldens | None:
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
    key, items, reference = _read_described(described)
    tensors = _read_tensors(stored, _TENSORS[key])
    if key == "pairs":
        pairs = tuple((query, document) for query, document in items)
        goldens: AnyGoldens = PairGoldens(pairs, tensors["scores"], tensors["logits"], reference)
    else:
        goldens = Goldens(tuple(items), tensors["vectors"], reference)
    problem = _problem(goldens)
    if problem:
        raise ArtifactError(f"The goldens of {folder} are damaged: {problem}.")
    return goldens


def _read_described(path: Path) -> tuple[str, list[Any], dict[str, str]]:
    """``texts`` or ``pairs``, those, and the reference."""
    from stonnx._fields import Fields  # not where a model is loaded, which reads no goldens

    fields = Fields(str(path), read_strict_json(path), error=ArtifactError)
    key = "pairs" if "pairs" in fields else "texts"
    fields.check_keys("reference", key)
    reference = fields.texts_by_name("reference")
    if key == "texts":
        return key, list(fields.texts(key)), reference
    pairs = fields.get(key)
    if not isinstance(pairs, list) or not all(map(_is_pair, pairs)):
        raise fields.wrong(key, "a list of lists of two texts")
    return key, pairs, reference


def _is_pair(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(isinstance(text, str) for text in item)


def _read_tensors(path: Path, names: tuple[str, ...]) -> Mapping[str, NDArray[np.float32]]:
    from safetensors import SafetensorError, safe_open

    try:
        with cast("Any", safe_open)(path, framework="numpy") as tensors:
            found = sorted(tensors.keys())
            if found != list(names):
                raise ArtifactError(f"{path}: expected {_named(names)}, found {found}.")
            for name in names:
                dtype = tensors.get_slice(name).get_dtype()
                if dtype != "F32":
                    raise ArtifactError(f"{path}: expected float32 {name} (F32), found {dtype}.")
            return {name: tensors.get_tensor(name) for name in names}
    except FileNotFoundError as exc:
        raise ArtifactError(f"{path} does not exist, but {GOLDEN_TEXTS_NAME} does.") from exc
    except (OSError, SafetensorError) as exc:
        raise ArtifactError(f"{path} is damaged: {exc}") from exc


def _named(names: tuple[str, ...]) -> str:
    shown = " and ".join(map(repr, names))
    return f"one tensor named {shown}" if len(names) == 1 else f"the tensors {shown}"


def _problem(goldens: AnyGoldens) -> str | None:
    """What is wrong with texts or pairs and their arrays; None when nothing is."""
    if isinstance(goldens, Goldens):
        return _array_problem("vectors", goldens.vectors, "texts", len(goldens.texts), "dimension")
    pairs = len(goldens.pairs)
    for name, array in (("scores", goldens.scores), ("logits", goldens.logits)):
        problem = _array_problem(name, array, "pairs", pairs, "labels")
        if problem:
            return problem
    if goldens.scores.shape != goldens.logits.shape:
        return f"scores have the shape {goldens.scores.shape}, logits {goldens.logits.shape}"
    return None


def _array_problem(name: str, array: NDArray[np.float32], items: str, count: int, width: str) -> str | None:
    if array.dtype != np.float32:
        return f"expected float32 {name}, found {array.dtype}"
    if array.ndim != 2 or array.shape[1] == 0:
        return f"expected {name} of shape ({items}, {width}), found {array.shape}"
    if count != len(array):
        return f"there are {count} {items} and {len(array)} {name}"
    if not np.isfinite(array).all():
        return f"some {name} are not finite"
    return None
