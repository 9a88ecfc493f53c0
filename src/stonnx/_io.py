"""JSON and text files, hashes, and paths that stay inside their folder."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from stonnx.errors import StonnxError

__all__ = [
    "LARGEST_JSON_BYTES",
    "contained_path",
    "read_json",
    "read_regular",
    "sha256_file",
    "why_closed",
    "write_bytes",
    "write_json",
    "write_text",
]

LARGEST_JSON_BYTES = 64 * 1024 * 1024
"""No JSON file of a model or an artifact needs more: the largest known tokenizer.json has about half."""
_DEEPEST_JSON = 100
_PIECE_BYTES = 1024 * 1024
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


def why_closed(folder: Path, *, listed: bool) -> str | None:
    """Why the files of a folder cannot be opened (``listed``: or listed), such as ``Permission denied``.

    None: they can, or there is no such folder.
    """
    try:
        os.stat(os.path.join(folder, "."))  # the right to search the folder, which is not the right to list it
        if listed:
            os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as exc:
        return exc.strerror or str(exc)
    return None


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
            raw = _read_up_to(stream, limit_bytes + 1)
    except FileNotFoundError as exc:
        raise error(f"{path} does not exist.") from exc
    except OSError as exc:
        raise error(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    if len(raw) > limit_bytes:
        raise error(f"{path} is larger than {limit_bytes:,} bytes; no model needs that.")
    return raw


def _read_up_to(stream: BinaryIO, most_bytes: int) -> bytes:
    """What is left in a stream, at most so much: in pieces, because `read` sets aside what it is asked for."""
    pieces: list[bytes] = []
    while most_bytes > 0 and (piece := stream.read(min(most_bytes, _PIECE_BYTES))):
        pieces.append(piece)
        most_bytes -= len(piece)
    return b"".join(pieces)


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
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    from stonnx._writing import staged_file  # what it imports takes 5 ms that loading a model can do without

    with staged_file(path, force=True) as stream:
        stream.write(content)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, ASCII-escaped so that any string survives."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=True) + "\n")
