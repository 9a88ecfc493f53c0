"""What lies in a folder and is no artifact's: the files that nobody but the user may remove."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from stonnx.artifact.goldens import GOLDEN_TEXTS_NAME, GOLDEN_VECTORS_NAME
from stonnx.artifact.manifest import MANIFEST_NAME, TUNE_FOLDER
from stonnx.artifact.strict_json import read_strict_json
from stonnx.errors import ArtifactError

__all__ = ["foreign_files"]

# `stonnx verify` writes them before the manifest lists them: it may have been killed in between.
_RECORDED = (GOLDEN_TEXTS_NAME, GOLDEN_VECTORS_NAME, "report.json")


def foreign_files(folder: Path) -> Iterator[str]:
    """The paths in a folder that stonnx did not write, one by one.

    An artifact has none, even one that is damaged or was written by another version: what counts is what its
    manifest lists. In a folder without a readable manifest everything is foreign; in an empty one there is nothing.

    Args:
        folder: Any folder.

    Yields:
        Paths relative to the folder, in the form of the system; a folder, ending with ``/``, stands for what is in it.

    Raises:
        OSError: The folder cannot be read.
    """
    listed = _listed(folder)
    parents = {str(parent) for path in listed for parent in PurePosixPath(path).parents}
    for place, folders, files in os.walk(folder, onerror=_raise):
        inside = Path(place).relative_to(folder)
        for name in sorted(files):
            if (inside / name).as_posix() not in listed:
                yield str(inside / name)
        enter = []
        for name in sorted(folders):
            path = inside / name
            if listed and path.as_posix() == TUNE_FOLDER and not (folder / path).is_symlink():
                continue
            if path.as_posix() in parents and not (folder / path).is_symlink():
                enter.append(name)
            else:
                yield f"{path}/"
        folders[:] = enter


def _listed(folder: Path) -> frozenset[str]:
    """The files of an artifact, its manifest included; none for any other folder."""
    path = folder / MANIFEST_NAME
    if path.is_symlink():
        return frozenset()
    try:
        value = read_strict_json(path)
    except ArtifactError:
        return frozenset()
    entries = value.get("files") if isinstance(value, dict) and "schema_version" in value else None
    if not isinstance(entries, list):
        return frozenset()
    paths = (entry.get("path") for entry in entries if isinstance(entry, dict))
    return frozenset({MANIFEST_NAME, *_RECORDED, *(path for path in paths if isinstance(path, str))})


def _raise(error: OSError) -> None:
    raise error
