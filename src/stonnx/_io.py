"""Files that appear whole or not at all, hashes, and paths that stay inside their folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from stonnx.errors import RunError, StonnxError, UsageError

__all__ = [
    "LARGEST_JSON_BYTES",
    "contained_path",
    "read_json",
    "read_regular",
    "sha256_file",
    "staged_folder",
    "write_json",
    "write_text",
]

LARGEST_JSON_BYTES = 64 * 1024 * 1024
"""No JSON file of a model or an artifact needs more: the largest known tokenizer.json has about half."""
_DEEPEST_JSON = 100
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, as 64 lower-case hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def contained_path(
    folder: Path, relative: str, *, error: type[StonnxError], extra_roots: tuple[Path, ...] = ()
) -> Path:
    """The file that ``relative`` names inside ``folder``, once it is proven to be inside.

    Args:
        folder: The folder that the path must not leave.
        relative: A POSIX path, as it stands in a JSON file.
        error: The class to raise.
        extra_roots: Further folders that a symbolic link may lead to (the blob store of a
            Hugging Face cache).

    Raises:
        StonnxError: As ``error``: the path is absolute, climbs with ``..`` or leads out
            of the folder through a symbolic link.
    """
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or "\\" in relative or "\0" in relative:
        raise error(f"The path {relative!r} leaves the folder {folder}; paths must be relative and stay inside it.")
    path = folder / pure
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as exc:  # RuntimeError: a link that leads to itself, before Python 3.13
        raise error(f"{path} cannot be followed: {exc}") from exc
    roots = (folder.resolve(), *(root.resolve() for root in extra_roots))
    if not any(real == root or root in real.parents for root in roots):
        raise error(
            f"{path} is a symbolic link out of its folder (to {real}).",
            hint="Replace the link by a copy of the file.",
        )
    return path


def read_regular(path: Path, *, error: type[StonnxError], limit_bytes: int) -> bytes:
    """The bytes of a regular file; a pipe or a device is refused, and never waited for.

    Args:
        path: The file; a link to it will do.
        error: The class to raise.
        limit_bytes: A larger file is refused before it is read.

    Raises:
        StonnxError: As ``error``: the file is missing, not regular, unreadable or too large.
    """
    try:
        with open(os.open(path, os.O_RDONLY | _NO_WAITING), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise error(f"{path} is not a regular file.")
            raw = stream.read(limit_bytes + 1)
    except FileNotFoundError as exc:
        raise error(f"{path} does not exist.") from exc
    except OSError as exc:
        raise error(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    if len(raw) > limit_bytes:
        raise error(f"{path} is larger than {limit_bytes:,} bytes; no model needs that.")
    return raw


def read_json(path: Path, *, error: type[StonnxError], limit_bytes: int = LARGEST_JSON_BYTES) -> Any:
    """Parse a UTF-8 JSON file.

    Raises:
        StonnxError: As ``error``: the file is missing, not regular, unreadable, too large, not JSON or nested too
            deeply.
    """
    raw = read_regular(path, error=error, limit_bytes=limit_bytes)
    try:
        value = json.loads(raw.decode("utf-8"))
    except RecursionError as exc:
        raise error(f"{path} cannot be read as JSON: nested too deeply.") from exc
    except ValueError as exc:  # not UTF-8, not JSON, or a number too long
        raise error(f"{path} cannot be read as JSON: {exc}") from exc
    level = [value]
    for _ in range(_DEEPEST_JSON):
        inner = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = [item for items in inner for item in items]
        if not level:
            return value
    raise error(f"{path} cannot be read as JSON: nested more than {_DEEPEST_JSON} levels deep.")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, staged = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(staged).chmod(0o666 & ~_umask())
        os.replace(staged, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, ASCII-escaped so that any string survives."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=True) + "\n")


@contextlib.contextmanager
def staged_folder(out: Path, *, force: bool = False) -> Iterator[Path]:
    """Fill a staging folder that becomes ``out`` on success and vanishes otherwise.

    The staging folder lies beside ``out``, so the final step is a rename. With ``force`` an
    existing ``out`` is moved aside first and removed only once the new one is in place.

    Args:
        out: The folder to create.
        force: Replace an existing folder instead of refusing it.

    Yields:
        The staging folder, empty.

    Raises:
        UsageError: ``out`` exists and ``force`` is False, or it is not a folder.
        RunError: The place cannot be written, or the disk is full.
    """
    _check_target(out, force=force)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
    except OSError as exc:
        raise RunError(
            f"{out.parent} cannot be written: {exc.strerror or exc}.", hint="Choose another output folder."
        ) from exc
    try:
        staging.chmod(0o777 & ~_umask())
        yield staging
        _check_target(out, force=force)
        _swap(staging, out)
    except OSError as exc:
        raise RunError(
            f"Writing {out} failed: {exc.strerror or exc}. Nothing was left behind.",
            hint="Free disk space or choose another output folder.",
        ) from exc
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check_target(out: Path, *, force: bool) -> None:
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not out.is_dir():
        raise UsageError(f"{out} exists and is not a folder.", hint="Choose another output folder.")
    if not force:
        raise UsageError(f"{out} exists already.", hint="Choose another output folder, or replace it with --force.")


def _swap(staging: Path, out: Path) -> None:
    """Rename ``staging`` to ``out``; an older ``out`` comes back if that fails."""
    if not out.exists():
        os.rename(staging, out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old-", dir=out.parent))
    os.rename(out, old / "folder")
    try:
        os.rename(staging, out)
    except BaseException:
        os.rename(old / "folder", out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
