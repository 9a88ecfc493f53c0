"""Where a model comes from: a local folder, or a repository of the Hugging Face hub."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stonnx._hub_layout import blob_stores
from stonnx._io import LARGEST_JSON_BYTES, contained_path, read_json, read_regular, why_closed
from stonnx._sources import hub_model
from stonnx.checkpoint.hub import download
from stonnx.errors import CheckpointError, UsageError

__all__ = ["SourceFolder", "resolve_source"]

_LARGEST_SETTINGS_BYTES = 8 * 1024 * 1024
_LARGE = ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "vocab.json")
"""They may hold a whole vocabulary; every other JSON file holds settings, or names of tensors."""
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


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
            return contained_path(self.path, relative, error=CheckpointError, extra_roots=blob_stores(self.path))
        # A link that leads to itself, a name of thousands of characters, or one that is no Unicode.
        except (OSError, RuntimeError, UnicodeEncodeError) as exc:
            raise CheckpointError(f"{relative[:200]!r} cannot be a file of {self.path}: {exc}") from exc

    def exists(self, relative: str) -> bool:
        """Whether there is a file ``relative``; one that there is can be read.

        Raises:
            CheckpointError: The path leaves the folder, or names something else than a regular file (taking a pipe
                or a link to a file that is gone for no file would lose a setting without a word), or the file cannot
                be read.
        """
        path = self.file(relative)
        try:
            is_regular = stat.S_ISREG(os.stat(path).st_mode)
            if is_regular:
                path.open("rb").close()
        except (FileNotFoundError, NotADirectoryError):
            if not os.path.lexists(path):
                return False
            is_regular = False
        except OSError as exc:
            raise CheckpointError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
        if not is_regular:
            raise CheckpointError(f"{path} is not a regular file.", hint="Download the model again.")
        return True

    def read_json(self, relative: str) -> Any:
        """The parsed JSON file.

        Raises:
            CheckpointError: The file is missing, damaged, not regular or too large, or the path leaves the folder.
        """
        return read_json(self.file(relative), error=CheckpointError, limit_bytes=_limit_bytes(relative))

    def read_text(self, relative: str) -> str:
        """A UTF-8 text file; every kind of line end comes back as a line feed.

        Raises:
            CheckpointError: As for ``read_json``.
        """
        path = self.file(relative)
        try:
            raw = read_regular(path, error=CheckpointError, limit_bytes=LARGEST_JSON_BYTES)
            return io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8").read()
        except UnicodeDecodeError as exc:
            raise CheckpointError(f"{path} cannot be read: {exc}") from exc

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


def _limit_bytes(relative: str) -> int:
    return LARGEST_JSON_BYTES if relative.rpartition("/")[2] in _LARGE else _LARGEST_SETTINGS_BYTES
