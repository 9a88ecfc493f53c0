"""A .npy file written as its rows come, to wherever ``--output`` leads."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from stonnx._writing import staged_file, unwritable_as_error
from stonnx.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["is_stdout", "npy_target", "write_npy"]

_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def is_stdout(name: str) -> bool:
    """Whether a path names stdout itself, whatever that is."""
    return name in _STDOUT


@contextlib.contextmanager
def npy_target(name: str, *, force: bool) -> Iterator[BinaryIO]:
    """A file to write to; on success its content is at the target, whole.

    A file appears whole or not at all. A pipe or stdout gets the bytes at the end, from a temporary file, because the
    head of a .npy file says how many rows follow.

    Args:
        name: A file, a link to one, a named pipe, or ``/dev/stdout``.
        force: Replace an existing file instead of refusing it.

    Yields:
        The file that is being written: binary, at its start, seekable.

    Raises:
        UsageError: There is a file and ``force`` is False, or something that an array cannot be written to.
        RunError: The place cannot be written (known before the file is yielded), or the disk is full.
    """
    path = Path(name)
    if is_stdout(name):
        if sys.stdout.isatty():
            raise UsageError(f"{name} is a terminal; an array is no text.", hint="Send it to a file or a pipe.")
    elif not _is_pipe(path):
        _check_folder(path)
        with contextlib.ExitStack() as stack:
            with unwritable_as_error(name):
                stream = stack.enter_context(staged_file(path, force=force))
            yield stream
            with unwritable_as_error(name):
                stack.close()
        return
    with contextlib.ExitStack() as stack:
        with unwritable_as_error("A temporary file"):
            spool = stack.enter_context(tempfile.TemporaryFile())
        yield spool
        spool.seek(0)
        with unwritable_as_error(name):
            _send(spool, name)


def write_npy(stream: BinaryIO, chunks: Iterable[NDArray[np.float32]], *, name: str) -> tuple[int, int]:
    """Write arrays below each other as one array, with no more than one of them in memory.

    Args:
        stream: Where to; at its start, seekable.
        chunks: float32, each of shape (rows, dimension); at least one, and all of one dimension.
        name: What the stream is called in an error.

    Returns:
        The shape of the whole: rows, dimension.

    Raises:
        RunError: The disk is full.
    """
    rows, dimension = 0, 0
    for vectors in chunks:
        with unwritable_as_error(name):
            if not dimension:
                dimension = vectors.shape[1]
                _write_head(stream, 0, dimension)
            stream.write(vectors.astype("<f4", copy=False).tobytes())
        rows += len(vectors)
    with unwritable_as_error(name):
        stream.seek(0)
        _write_head(stream, rows, dimension)
        stream.flush()
    return rows, dimension


def _write_head(stream: BinaryIO, rows: int, dimension: int) -> None:
    """The head has one length for any number of rows: NumPy leaves room for the first axis to grow."""
    import numpy as np

    head = {"descr": "<f4", "fortran_order": False, "shape": (rows, dimension)}
    np.lib.format.write_array_header_1_0(stream, head)


def _is_pipe(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def _check_folder(path: Path) -> None:
    folder = Path(os.path.realpath(path)).parent
    if not folder.exists():
        raise UsageError(f"The folder {folder} does not exist.", hint="Create it first.")


def _send(spool: BinaryIO, name: str) -> None:
    """Copy the whole file to a pipe or stdout, and say so where only a part of it got there."""
    try:
        if is_stdout(name):
            sys.stdout.flush()
            shutil.copyfileobj(spool, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with open(name, "wb") as pipe:
                shutil.copyfileobj(spool, pipe)
    except BaseException as error:
        error.add_note(f"{name} got a part of the array at most")
        raise
