"""Which files have been compared with their SHA-256 already, so that a job that opens them often hashes them once.

For example::

    artifact = Artifact.open("my-model-onnx").remembering()
    artifact.check_files()                         # hashes every file
    Encoder.load(artifact, variant="int8")         # hashes none again, unless somebody wrote to it

Nothing is remembered unless somebody asks for it: every other load hashes what it uses.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from stonnx._io import sha256_file

__all__ = ["SeenFiles"]


class _State(NamedTuple):
    """What changes when a file is written to, or replaced by another one."""

    device: int
    number: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


class SeenFiles:
    """The SHA-256 of files as they were when they were hashed; one that was written to since is hashed again."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[_State, str]] = {}

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file, as 64 lower-case hexadecimal digits.

        Raises:
            OSError: It cannot be read.
        """
        path = path.absolute()
        state = _state(path)
        known = self._seen.get(path)
        if known is not None and known[0] == state:
            return known[1]
        found = sha256_file(path)
        if _state(path) == state:  # nobody wrote to it meanwhile
            self._seen[path] = state, found
        return found


def _state(path: Path) -> _State:
    found = path.stat()
    return _State(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
