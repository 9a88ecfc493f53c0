"""A new artifact in the place of an older one: most files stay, and the folder changes in one step or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from stonnx._writing import staged_folder
from stonnx.artifact import Artifact, foreign_files
from stonnx.artifact.manifest import MANIFEST_NAME
from stonnx.errors import RunError, UsageError

__all__ = ["check_renewable", "renewed_artifact"]

_LINKED_BYTES = 1 << 20  # from this size on a file is linked, not copied, where the file system can
_SHOWN = 3
_COPY_FIRST = "Copy the artifact to a folder of its own first; on Linux and macOS: cp -RL ARTIFACT COPY"


def check_renewable(artifact: Artifact) -> None:
    """See that an artifact may be replaced, before anything else is done.

    Args:
        artifact: The artifact; its path is no link.

    Raises:
        UsageError: Files are links, as in a cache of the Hugging Face hub, or the folder holds what stonnx did not
            write.
        RunError: The folder, or the one that it lies in, cannot be written.
    """
    folder = artifact.path
    for name in (MANIFEST_NAME, *(entry.path for entry in artifact.manifest.files)):
        if (folder / name).is_symlink():
            raise UsageError(
                f"{folder / name} is a link, as in a cache of the Hugging Face hub: what others share is not changed.",
                hint=_COPY_FIRST,
            )
    theirs = list(islice(foreign_files(folder), _SHOWN + 1))
    if theirs:
        more = " and more" if len(theirs) > _SHOWN else ""
        raise UsageError(
            f"{folder} holds what stonnx did not write: {', '.join(theirs[:_SHOWN])}{more}. "
            "The folder is replaced as a whole, so nothing else may lie in it.",
            hint="Move these files away first.",
        )
    for place in (folder, folder.parent):
        if not os.access(place, os.W_OK | os.X_OK):
            raise RunError(f"{place} cannot be written, so {folder} cannot be replaced.", hint=_COPY_FIRST)


@contextlib.contextmanager
def renewed_artifact(artifact: Artifact, *, without: frozenset[str]) -> Iterator[Path]:
    """A staging folder with the files of an artifact, which takes its place on success and vanishes otherwise.

    Large files are hard links: to change one there, write a new file in its place. The choices of ``stonnx tune`` do
    not come along: they hold for the older manifest.

    Args:
        artifact: The artifact; its path is no link.
        without: Files that the new one does not have, as the manifest lists them.

    Raises:
        UsageError: As ``check_renewable``, also for what appeared meanwhile.
        RunError: The place cannot be written, or the disk is full.
    """
    with staged_folder(artifact.path, force=True, foreign=foreign_files) as staging:
        for entry in artifact.manifest.files:
            if entry.path not in without:
                target = staging / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                _take(artifact.path / entry.path, target, size_bytes=entry.size_bytes)
        shutil.copy2(artifact.path / MANIFEST_NAME, staging / MANIFEST_NAME)
        shutil.copymode(artifact.path, staging)
        yield staging


def _take(source: Path, target: Path, *, size_bytes: int) -> None:
    if size_bytes >= _LINKED_BYTES:
        with contextlib.suppress(OSError):  # a file system without hard links
            os.link(source, target)
            return
    shutil.copy2(source, target)
