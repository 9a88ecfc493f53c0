"""Where a model comes from: a local folder, or a repository of the Hugging Face hub."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stonnx._io import contained_path, read_json, why_closed
from stonnx._sources import hub_model
from stonnx.checkpoint.hub import download
from stonnx.errors import CheckpointError, UsageError

__all__ = ["SourceFolder", "resolve_source"]

_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
# Written by huggingface_hub into a blob store that it shares between repositories.
_SHARED_BLOBS_MARKER = ".huggingface-shared-blobs"


@dataclass(frozen=True, kw_only=True)
class SourceFolder:
    """A model folder on this machine, and where it came from.

    Attributes:
        path: The folder.
        name: The source as the user gave it; the hub id for the address of a page.
        revision: Commit of the hub repository; None for a local folder.
    """

    path: Path
    name: str
    revision: str | None

    def file(self, relative: str) -> Path:
        """The file that ``relative`` (POSIX) names, whether it exists or not.

        Raises:
            CheckpointError: The path leaves the folder. Links into the blob store beside a
                snapshot of the Hugging Face cache are fine.
        """
        try:
            return contained_path(self.path, relative, error=CheckpointError, extra_roots=_blob_stores(self.path))
        # A link that leads to itself, a name of thousands of characters, or one that is no Unicode.
        except (OSError, RuntimeError, UnicodeEncodeError) as exc:
            raise CheckpointError(f"{relative[:200]!r} cannot be a file of {self.path}: {exc}") from exc

    def exists(self, relative: str) -> bool:
        """Whether ``relative`` names a regular file; one that does can be read.

        Raises:
            CheckpointError: The path leaves the folder, or the file is there and cannot be read.
        """
        path = self.file(relative)
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                return False
            with path.open("rb"):
                return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as exc:
            raise CheckpointError(f"{path} cannot be read: {exc.strerror or exc}.") from exc

    def read_json(self, relative: str) -> Any:
        """The parsed JSON file.

        Raises:
            CheckpointError: The file is missing or damaged, or the path leaves the folder.
        """
        path = self.file(relative)
        try:
            return read_json(path, error=CheckpointError)
        except ValueError as exc:  # a number of thousands of digits
            raise CheckpointError(f"{path} cannot be read as JSON: {exc}") from exc

    def read_object(self, relative: str) -> dict[str, Any]:
        """The parsed JSON file, which must hold an object.

        Raises:
            CheckpointError: The file is missing, damaged or not an object, or the path leaves the folder.
        """
        value = self.read_json(relative)
        if not isinstance(value, dict):
            raise CheckpointError(f"{self.path / relative} holds a {type(value).__name__}; expected a JSON object.")
        return value


def resolve_source(source: str | Path) -> SourceFolder:
    """Find the model folder that a user means.

    Args:
        source: A folder, a hub id ``org/name`` with an optional ``@revision``, or the address of a model's page on
            the hub. A folder that exists wins over a hub id of the same spelling.

    Raises:
        UsageError: ``source`` is empty, or neither a folder nor shaped like a hub id.
        CheckpointError: The folder does not exist, cannot be read or holds no model.
        RunError: The hub cannot be reached, or does not give the repository out.
    """
    name = str(source)
    if not name.strip():
        raise UsageError("The source is empty; expected a model folder or a hub id such as org/name.")
    if "\0" in name:
        raise UsageError(f"The source {name!r} holds a null character.")
    path = Path(source)
    reason = why_closed(path, listed=True)
    if reason is not None:
        raise CheckpointError(f"{path} cannot be read: {reason}.")
    if os.path.isdir(path):
        return _checked(SourceFolder(path=path, name=name, revision=None))
    if os.path.exists(path):
        raise CheckpointError(f"{path} is a file, not a model folder.", hint="Pass the folder that holds config.json.")
    model = hub_model(source)
    snapshot, revision = download(model.repo, model.revision)
    return _checked(SourceFolder(path=snapshot, name=str(model), revision=revision))


def _checked(folder: SourceFolder) -> SourceFolder:
    """Refuse a folder that cannot be a model before anything is read from it."""
    # The transformer's weights count, not those of a Dense module or the goldens.
    places = (folder.path, folder.path / "0_Transformer")
    weights = (path for place in places for pattern in _WEIGHTS for path in place.glob(pattern))
    if folder.exists("stonnx.json") and next(weights, None) is None:
        raise CheckpointError(
            f"{folder.path} is a converted stonnx artifact without the original weights.",
            hint="Pass the original model: `stonnx info` names the source that the artifact was made from.",
        )
    if not folder.exists("config.json") and not folder.exists("modules.json"):
        raise CheckpointError(
            f"{folder.path} is not a model folder: it holds neither config.json nor modules.json.",
            hint="Pass the folder of a Sentence Transformers or Hugging Face model.",
        )
    return folder


def _blob_stores(path: Path) -> tuple[Path, ...]:
    """The blob stores that links of a Hugging Face cache snapshot lead to; none for other folders.

    The layout is ``CACHE/models--org--name/{snapshots/COMMIT,blobs}``; since huggingface_hub 2, blobs may be
    links themselves, into ``CACHE/blobs``. A store that is a link is not trusted: it could lead anywhere.
    """
    path = path.resolve()
    repository = path.parent.parent
    if path.parent.name != "snapshots" or not repository.name.startswith("models--"):
        return ()
    shared = repository.parent / "blobs"
    stores = [repository / "blobs"]
    if (shared / _SHARED_BLOBS_MARKER).is_file():
        stores.append(shared)
    return tuple(store for store in stores if not store.is_symlink())
