"""What decides the original model's results: the same facts, the same results.

For example::

    facts = original_facts("./my-model", kind="embedding", probes=probe_texts())
    facts.key             # '0c5d...', 32 digits that name them
    facts.still_hold()    # True: nobody has changed the model's files meanwhile
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stonnx.artifact.manifest import Kind
from stonnx.artifact.seen_files import SeenFiles
from stonnx.machine import cpu_features, cpu_name, installed_versions
from stonnx.runtime import usable_cores

__all__ = ["OriginalFacts", "canonical", "original_facts"]

_NEEDED = ("sentence-transformers", "torch", "transformers")
_DISTRIBUTIONS = (*_NEEDED, "numpy", "safetensors", "stonnx", "tokenizers")
_NOT_THE_MODEL = frozenset({".git", ".cache"})
_OTHER_FORMATS = frozenset({".onnx", ".onnx_data", ".xml", ".h5", ".msgpack", ".ot"})
"""Files in which the original, on torch, reads nothing, wherever they lie."""
_SETTINGS = ("ATEN_", "DNNL_", "MKL_", "OMP_", "ONEDNN_", "PYTORCH_", "TORCH_")
"""How the variables begin that tell torch how to compute; one of them has it multiply in bfloat16."""
_MOST_FILES = 500  # a folder of more holds something else as well


@dataclass(frozen=True, kw_only=True)
class OriginalFacts:
    """What decides the results of the original model.

    Attributes:
        values: The facts, as JSON values.
        kind: What the model makes.
        probes: The texts, or the pairs.
        folder: The model.
        seen: The hashes of its files, and what these were like.
    """

    values: Mapping[str, object]
    kind: Kind
    probes: tuple[str, ...] | tuple[tuple[str, str], ...]
    folder: Path
    seen: SeenFiles

    @property
    def key(self) -> str:
        """32 hexadecimal digits that name the facts."""
        return hashlib.sha256(canonical(self.values)).hexdigest()[:32]

    def still_hold(self) -> bool:
        """Whether the folder is as it was; only what was written to since is hashed again.

        Raises:
            OSError: It cannot be read any more.
        """
        return _hashes(self.folder, self.seen) == self.values["files"]


def original_facts(
    source: str | Path, *, kind: Kind, probes: Sequence[str] | Sequence[tuple[str, str]]
) -> OriginalFacts | None:
    """What decides the results of a model here; None where they cannot be remembered.

    That is so for a hub id, which may stand for other files tomorrow, for a folder that cannot be read or holds very
    many files, and where torch or sentence-transformers is not installed.

    Args:
        source: The model's folder, or a hub id.
        kind: What the model makes.
        probes: The texts, or the pairs.
    """
    folder, versions, seen = Path(source), installed_versions(_DISTRIBUTIONS), SeenFiles()
    if not folder.is_dir() or not set(_NEEDED) <= set(versions):
        return None
    try:
        files = _hashes(folder, seen)
    except OSError:
        return None
    if files is None:
        return None
    values = {
        "kind": kind,
        "files": files,
        "probes": hashlib.sha256(canonical(list(probes))).hexdigest(),
        "versions": versions,
        "settings": hashlib.sha256(canonical(_torch_settings())).hexdigest(),
        "cpu": cpu_name(),
        "cpu_features": sorted(cpu_features()),
        "cores": usable_cores(),
    }
    return OriginalFacts(values=values, kind=kind, probes=tuple(probes), folder=folder, seen=seen)  # type: ignore[arg-type]


def _torch_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_SETTINGS)}


def canonical(value: object) -> bytes:
    """A JSON value as bytes, always the same for the same value."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True).encode("ascii")


def _hashes(folder: Path, seen: SeenFiles) -> dict[str, str] | None:
    """SHA-256 of each file of a model, by POSIX path; None where there are too many.

    Raises:
        OSError: One cannot be read.
    """
    found: dict[str, str] = {}
    for place, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        folders[:] = sorted(set(folders) - _NOT_THE_MODEL)
        for path in (Path(place) / name for name in sorted(names)):
            if path.suffix not in _OTHER_FORMATS and path.is_file():  # through a link as well, as in the hub's cache
                found[path.relative_to(folder).as_posix()] = seen.sha256(path)
            if len(found) > _MOST_FILES:
                return None
    return found


def _raise(error: OSError) -> None:
    raise error
