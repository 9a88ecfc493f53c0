"""What both originals need to be loaded: torch and sentence-transformers, and where the model lies."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from stonnx._extras import available, require
from stonnx._io import why_closed
from stonnx._sources import hub_model
from stonnx.artifact.thread_limit import check_threads
from stonnx.errors import CheckpointError, RunError

__all__ = [
    "FOREIGN_RUN_ERRORS",
    "import_reference",
    "library_versions",
    "load_model",
    "model_name",
    "reference_available",
]

FOREIGN_RUN_ERRORS = (ValueError, RuntimeError, IndexError)
"""What a forward pass of sentence-transformers raises."""

_FOREIGN_LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError)
_DISTRIBUTIONS = ("sentence-transformers", "transformers", "torch")


def reference_available() -> bool:
    """Whether torch and sentence-transformers can be imported, without importing them."""
    return available("torch") and available("sentence_transformers")


def import_reference() -> tuple[ModuleType, ModuleType]:
    """The packages ``torch`` and ``sentence_transformers``, made to draw no bars of their own.

    Raises:
        MissingExtraError: One of them is not installed.
    """
    purpose = "run the original model"
    torch = require("torch", extra="reference", purpose=purpose)
    library = require("sentence_transformers", extra="reference", purpose=purpose)
    require("transformers.utils.logging", extra="reference", purpose=purpose).disable_progress_bar()
    return torch, library


def model_name(source: str | Path) -> dict[str, Any]:
    """The arguments by which sentence-transformers finds a model: a folder, or a hub id and its revision.

    Args:
        source: A folder, a hub id ``org/name[@revision]``, or the address of a model's page on the hub.

    Raises:
        CheckpointError: The folder cannot be read.
        UsageError: ``source`` is neither a folder nor shaped like a hub id.
    """
    path = Path(source)
    reason = why_closed(path, listed=True)
    if reason is not None:
        raise CheckpointError(f"{path} cannot be read: {reason}.")
    if path.is_dir():
        return {"model_name_or_path": str(path), "local_files_only": True}
    model = hub_model(source)
    return {"model_name_or_path": model.repo, "revision": model.revision}


def load_model(kind: str, name: dict[str, Any], *, source: str | Path, threads: int | None) -> Any:
    """Load a model in float32 on the CPU, without code of its own.

    Args:
        kind: The class of sentence-transformers, ``SentenceTransformer`` or ``CrossEncoder``.
        name: What ``model_name`` gave.
        source: What the user calls the model, for messages.
        threads: Torch's intra-op threads, for the whole process; None leaves them alone.

    Raises:
        MissingExtraError: torch or sentence-transformers is not installed.
        RunError: sentence-transformers cannot load the model.
        UsageError: ``threads`` is below 1, or many more than there are cores.
    """
    torch, library = import_reference()
    if threads is not None:
        torch.set_num_threads(check_threads(threads, cores=os.cpu_count() or 1))
    options = {"device": "cpu", "trust_remote_code": False, "model_kwargs": {"torch_dtype": torch.float32}}
    try:
        model = getattr(library, kind)(**name, **options)
    except _FOREIGN_LOAD_ERRORS as exc:
        raise RunError(
            f"sentence-transformers cannot load {source}: {exc}",
            hint="Check the folder with sentence-transformers.",
        ) from exc
    return model.float().eval()


def library_versions() -> dict[str, str]:
    """Versions of sentence-transformers, transformers and torch, and the dtype that the originals compute in."""
    return {**{name: importlib.metadata.version(name) for name in _DISTRIBUTIONS}, "dtype": "float32"}
