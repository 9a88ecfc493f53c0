"""A work folder beside a target: what is made in it becomes the target by one rename, or vanishes.

It is called ``.NAME.stonnx-XXXXXXXX`` and holds::

    lock   locked (flock) for as long as its process lives: the kernel lets go, however the process ends
    new    what is being made
    old    a whole folder that leaves the target's place, or is about to take it

A process that is killed leaves its work folder behind. The next process that writes the same target finds the lock
free, puts ``old`` back where the target is missing, and removes the rest. A locked work folder is never touched.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["Foreign", "clear_stale", "workplace"]

_LOG = logging.getLogger("stonnx")

Foreign = Callable[[Path], Iterator[str]]
"""Names what lies in a folder and is the user's own: what makes a folder one that must not be removed."""

_LONGEST_NAME_BYTES = 200  # file systems allow 255, and the work folder's name is longer than its target's
_NO_LOCKS = "no locks"
# A lock may not reach other hosts (some network file systems): their work must have been still for so long as well.
_STILL_SECONDS = 24 * 60 * 60


def _nothing_foreign(_: Path) -> Iterator[str]:
    return iter(())


@contextlib.contextmanager
def workplace(target: Path, *, foreign: Foreign = _nothing_foreign) -> Iterator[Path]:
    """A new work folder for ``target``, on its file system; what killed processes left for it is cleared first.

    On the way out the folder is removed with all that is in it, but for an ``old`` that belongs back in the
    target's place. If something has to stay, the exception on its way says so in a note (PEP 678).

    Args:
        target: What will be made. Its parent folder must exist.
        foreign: Says what in an ``old`` is the user's own; such a folder is kept, with a logged warning.

    Yields:
        The folder, holding nothing but the lock.

    Raises:
        OSError: The place cannot be written.
    """
    folder, lock = _open(target)
    try:
        try:
            _clear_others(target, folder, lock, foreign)
            yield folder
        finally:
            _settle(folder, target, foreign)
    except BaseException as error:  # also a second Ctrl-C, while the folder was being removed
        if folder.exists():
            error.add_note(f"{folder} was left behind")
        raise
    finally:
        os.close(lock)  # not before now: an unlocked folder is anybody's to settle


def clear_stale(target: Path, *, foreign: Foreign = _nothing_foreign) -> None:
    """Clear what killed processes left for ``target``, and put the target back where they moved it away.

    Nothing is written where nothing was left.
    """
    if any(True for _ in _work_folders(target)):
        with contextlib.suppress(OSError), workplace(target, foreign=foreign):
            pass


def _open(target: Path) -> tuple[Path, int]:
    """Make a work folder and lock it, until no other process took it for a dead one's in between."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
        try:
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        try:
            has_locks = _try_lock(lock)
        except OSError:  # this file system has none
            has_locks = None
        if has_locks is not False and _is_at(lock, folder / "lock"):
            os.write(lock, (_NO_LOCKS if has_locks is None else _kernel()).encode())
            return folder, lock
        os.close(lock)


def _clear_others(target: Path, own: Path, own_lock: int, foreign: Foreign) -> None:
    for folder in _work_folders(target):
        if folder == own:
            continue
        try:
            lock = os.open(folder / "lock", os.O_RDWR)
        except FileNotFoundError:  # killed before there was a lock, or living and about to make one
            with contextlib.suppress(OSError):
                folder.rmdir()
            continue
        except OSError:
            continue
        with os.fdopen(lock, "rb"):
            if _is_dead(lock, own_lock):
                _settle(folder, target, foreign)


def _is_dead(lock: int, own_lock: int) -> bool:
    """Whether the process that made the lock is gone; when in doubt, it is not."""
    try:
        if not _try_lock(lock):
            return False
    except OSError:
        return False
    kernel = os.pread(lock, 100, 0).decode("ascii", "replace")
    if kernel in ("", _kernel()):
        return True
    # The clock of the file server, not of two hosts.
    still_seconds = os.fstat(own_lock).st_mtime - os.fstat(lock).st_mtime
    return kernel != _NO_LOCKS and still_seconds > _STILL_SECONDS


def _settle(folder: Path, target: Path, foreign: Foreign) -> None:
    """Put ``old`` back if the target is missing, and remove the work folder."""
    old = folder / "old"
    try:
        if os.path.lexists(old):
            if not os.path.lexists(target):
                os.rename(old, target)
                _LOG.warning("%s was put back: replacing it had been interrupted", target)
            elif (theirs := next(foreign(old), None)) is not None:
                _LOG.warning("%s is kept: it holds %s, which stonnx did not write", old, theirs)
                return
        # The lock goes last: a folder that is not empty and has none would be nobody's to remove.
        for place in (folder / "new", old):
            _remove(place)
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()
    except OSError as exc:
        _LOG.warning("%s could not be removed: %s", folder, exc)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _work_folders(target: Path) -> Iterator[Path]:
    """The work folders for ``target``: this user's own, real folders."""
    if sys.platform == "win32":  # no flock there, so nobody can tell whose work is dead
        return
    pattern = re.compile(re.escape(_prefix(target)) + "[a-z0-9_]{8}")
    try:
        names = sorted(entry.name for entry in os.scandir(target.parent) if pattern.fullmatch(entry.name))
    except OSError:
        return
    for name in names:
        folder = target.parent / name
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                yield folder


def _prefix(target: Path) -> str:
    name = target.name
    if len(os.fsencode(name)) > _LONGEST_NAME_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return f".{name}.stonnx-"


def _try_lock(lock: int) -> bool:
    """Lock an open file unless somebody else has; a lock ends when the file is closed or the process dies.

    Raises:
        OSError: The file system has no locks.
    """
    if sys.platform == "win32":
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path))
    except OSError:
        return False


def _kernel() -> str:
    """What tells one running kernel from another: processes of one kernel see each other's locks."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return platform.node()
