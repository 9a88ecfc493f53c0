"""Files and folders that appear whole or not at all, and never in place of what is not theirs to replace."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from stonnx._workplace import Foreign, clear_stale, workplace
from stonnx.errors import RunError, UsageError

__all__ = ["check_folder_target", "staged_file", "staged_folder", "unwritable_as_error"]

_FOREIGN_SHOWN = 3
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def unwritable_as_error(place: str | Path) -> Iterator[None]:
    """Turn what the machine says about a place into an error that tells what was left behind.

    A reader that went away is no error of the machine's: ``BrokenPipeError`` passes.

    Raises:
        RunError: The place cannot be written, or the disk is full.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        left = "; ".join(getattr(exc, "__notes__", ["Nothing was left behind"]))
        raise RunError(
            f"{place} cannot be written: {exc.strerror or exc}. {left}.",
            hint="Free disk space or choose another place." if exc.errno in _FULL else "Choose another place.",
        ) from exc


@contextlib.contextmanager
def staged_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Write a file that appears at ``path`` on success and nowhere otherwise.

    A symbolic link stays: what it leads to is written. A file that is replaced keeps its permissions.

    Args:
        path: The file. Its folder must exist.
        force: Replace an existing file instead of refusing it.

    Yields:
        The file that is being written: binary, at its start, seekable.

    Raises:
        UsageError: There is something that is no regular file, or a file and ``force`` is False.
        OSError: The place cannot be written; where possible, that is found out before the file is yielded.
    """
    target = Path(os.path.realpath(path))
    _mode_to_keep(path, target, force=force)
    with workplace(target) as work:
        new = work / "new"
        stream = new.open("xb")
        try:
            yield stream
            stream.close()
        finally:
            with contextlib.suppress(OSError):  # what was not written after a failure is not missed
                stream.close()
        mode = _mode_to_keep(path, target, force=force)
        if mode is not None:
            new.chmod(mode)
        if force:
            os.replace(new, target)
        else:
            _move_to_free_place(new, target)


def _mode_to_keep(path: Path, target: Path, *, force: bool) -> int | None:
    """The permissions of the file that will be replaced; None where there is none.

    Raises:
        UsageError: What is there must not be replaced.
        OSError: Nobody can say what is there: the name is too long, links lead in a circle.
    """
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path} is a folder.", hint="Name a file.")
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path} is not a regular file.", hint="Choose another file.")
    if not force:
        raise UsageError(
            f"{path} exists already.",
            hint="Choose another file, or replace it with force=True.",
            cli_hint="Choose another file, or replace it with --force.",
        )
    return stat.S_IMODE(found.st_mode)


def _move_to_free_place(new: Path, target: Path) -> None:
    """Give a file its name, unless somebody else took the name meanwhile."""
    try:
        os.link(new, target)  # unlike a rename, a link never replaces anything
    except FileExistsError as exc:
        raise UsageError(f"{target} exists already: it appeared meanwhile.", hint="Choose another file.") from exc
    except OSError:  # a file system without hard links
        os.rename(new, target)


@contextlib.contextmanager
def staged_folder(out: Path, *, force: bool, foreign: Foreign) -> Iterator[Path]:
    """Fill a staging folder that becomes ``out`` on success and vanishes otherwise.

    Args:
        out: The folder to create.
        force: Replace an existing folder instead of refusing it.
        foreign: Names what in an existing folder is the user's own. Such a folder is never replaced.

    Yields:
        The staging folder, empty. It lies on the file system of ``out``.

    Raises:
        UsageError: As ``check_folder_target``, also for what appeared meanwhile.
        RunError: The place cannot be written, or the disk is full.
    """
    check_folder_target(out, force=force, foreign=foreign)
    with unwritable_as_error(out), _parents(out), workplace(out, foreign=foreign) as work:
        staging = work / "new"
        staging.mkdir()
        yield staging
        check_folder_target(out, force=force, foreign=foreign)
        if os.path.lexists(out):
            _swap(work, out)
        else:
            os.rename(staging, out)


def check_folder_target(out: Path, *, force: bool, foreign: Foreign) -> None:
    """See that a folder may be written there; what a killed process moved away is put back first.

    Args:
        out: The folder to create.
        force: Whether an existing folder may be replaced.
        foreign: Names what in an existing folder is the user's own.

    Raises:
        UsageError: ``out`` is there and is no folder, holds what is the user's own, or ``force`` is False.
        RunError: There can be no folder of that name, or what is there cannot be read.
    """
    clear_stale(out, foreign=foreign)
    try:
        found = out.lstat()
    except FileNotFoundError:
        return
    except OSError as exc:
        raise RunError(
            f"{out} cannot be written: {exc.strerror or exc}.", hint="Choose another output folder."
        ) from exc
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{out} exists already and is not a folder.", hint="Choose another output folder.")
    try:
        theirs = list(islice(foreign(out), _FOREIGN_SHOWN + 1))
    except OSError as exc:
        raise RunError(f"{out} cannot be read: {exc.strerror or exc}.", hint="Choose another output folder.") from exc
    if theirs:
        more = " and more" if len(theirs) > _FOREIGN_SHOWN else ""
        raise UsageError(
            f"{out} exists already and holds what stonnx did not write: {', '.join(theirs[:_FOREIGN_SHOWN])}{more}. "
            "Only an artifact of stonnx, or an empty folder, is ever replaced.",
            hint="Choose another output folder, or move these files away first.",
        )
    if not force:
        raise UsageError(
            f"{out} exists already.",
            hint="Choose another output folder, or replace it with force=True.",
            cli_hint="Choose another output folder, or replace it with --force.",
        )


@contextlib.contextmanager
def _parents(out: Path) -> Iterator[None]:
    """Make the folders above ``out``; those that were made go again when the work fails."""
    missing = [parent for parent in out.parents if not os.path.lexists(parent)]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in missing:
            with contextlib.suppress(OSError):  # by now there is something else in it
                parent.rmdir()
        raise


def _swap(work: Path, out: Path) -> None:
    """Put the new folder in the place of the older ``out``, which goes to ``old``."""
    new, old = work / "new", work / "old"
    os.rename(new, old)
    if _exchange(old, out):
        return
    # Two steps. Between them nothing is at ``out``: if the second one never comes, ``old`` is put back.
    os.rename(old, new)
    os.rename(out, old)
    os.rename(new, out)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False where the system or the file system cannot.

    Linux, ``renameat2(2)`` with ``RENAME_EXCHANGE``. Python has no call for it.
    """
    import ctypes

    at_fdcwd, rename_exchange = -100, 2
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # another system, or an old C library
        return False
    return bool(renameat2(at_fdcwd, os.fsencode(one), at_fdcwd, os.fsencode(other), rename_exchange) == 0)
