"""Where an artifact may be written: never over the model that it is made from, nor over anything of the user's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from stonnx._writing import check_folder_target, staged_folder
from stonnx.artifact import foreign_files
from stonnx.errors import RunError, UsageError

__all__ = ["artifact_staging", "check_target"]


@contextlib.contextmanager
def artifact_staging(out: Path, *, source: Path, force: bool) -> Iterator[Path]:
    """A staging folder that becomes the artifact ``out`` on success and vanishes otherwise.

    Args:
        out: The folder to create.
        source: The folder of the model; for a model of the hub, its snapshot.
        force: Replace an older artifact, or an empty folder.

    Raises:
        UsageError: As ``check_target``.
        RunError: The place cannot be written, or the disk is full.
    """
    check_target(out, source=source, force=force)
    with staged_folder(out, force=force, foreign=foreign_files) as staging:
        yield staging


def check_target(out: Path, *, source: str | Path, force: bool) -> None:
    """See that an artifact may be written to ``out``, before anything is read or written.

    Args:
        out: The folder to create.
        source: The folder of the model; what is no folder, such as a hub id, is in nobody's way.
        force: Whether an older artifact, or an empty folder, may be replaced.

    Raises:
        UsageError: ``out`` is the source, contains it or lies in it; it holds something of the user's;
            or it exists and ``force`` is False.
        RunError: What is there cannot be read.
    """
    try:
        if os.path.isdir(source) and (_lies_in(out, source) or _lies_in(source, out)):
            raise UsageError(
                f"The output folder {out} and the model's folder {source} overlap; an artifact is never written over, "
                "around or into the model that it is made from.",
                hint="Choose an output folder outside the model's.",
            )
    except OSError as exc:
        raise RunError(f"{out} cannot be compared with {source}: {exc.strerror or exc}.") from exc
    check_folder_target(out, force=force, foreign=foreign_files)


def _lies_in(inner: str | Path, outer: str | Path) -> bool:
    """Whether one folder is the other or lies in it: by what they are, not by how they are spelled.

    Links are followed, and names that differ by case alone are one where the file system says so.
    """
    real = Path(os.path.realpath(inner))
    return os.path.exists(outer) and any(place.exists() and place.samefile(outer) for place in (real, *real.parents))
