"""A .npy file that appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from stonnx.errors import RunError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_target", "write_npy"]


def check_target(path: Path, *, force: bool) -> None:
    """See that a file can be written there before any work is done.

    Raises:
        UsageError: It exists and ``force`` is False, it is a folder, or its folder is missing.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", hint="Name a file, such as vectors.npy.")
    if path.exists() and not force:
        raise UsageError(f"{path} exists already.", hint="Choose another file, or replace it with --force.")
    if not path.parent.is_dir():
        raise UsageError(f"The folder {path.parent} does not exist.", hint="Create it first.")


def write_npy(path: Path, vectors: NDArray[np.float32], *, force: bool) -> None:
    """Write an array, without pickle.

    Args:
        path: The file.
        vectors: float32, shape (texts, dimension).
        force: Replace an existing file instead of refusing it.

    Raises:
        UsageError: As ``check_target``: somebody else wrote the file meanwhile.
        RunError: The disk is full, or the place cannot be written.
    """
    import numpy as np

    try:
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent, delete=False) as stream:
            staged = Path(stream.name)
            try:
                np.save(stream, vectors, allow_pickle=False)
                stream.close()
                check_target(path, force=force)
                staged.chmod(_usual_mode())
                os.replace(staged, path)
            finally:
                staged.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error.strerror or error}. Nothing was left behind.",
            hint="Free disk space or choose another place.",
        ) from error


def _usual_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
