"""What the rules of a manifest are made of: a condition that holds, or an error that names the key path."""

from __future__ import annotations

import re
from collections.abc import Iterable

from stonnx.errors import ArtifactError

__all__ = ["PATH_PATTERN", "check_path", "need", "need_unique"]

# The same pattern stands in docs/artifact.schema.json (a test compares the two).
_SEGMENT = r"(?!\.{1,2}(/|$))[^/\\:\u0000-\u001f\u007f\ud800-\udfff]+"
PATH_PATTERN = f"^{_SEGMENT}(/{_SEGMENT})*$"


def check_path(path: str, where: str) -> None:
    """Check that a path is relative, in POSIX form and free of ``..``.

    Raises:
        ArtifactError: It is not; the message names ``where``.
    """
    need(
        re.fullmatch(PATH_PATTERN, path) is not None,
        where,
        f"expected a relative POSIX path inside the artifact without '..', found {path!r}",
    )


def need_unique(names: Iterable[str], where: str, what: str) -> None:
    """Check that no name is there twice.

    Raises:
        ArtifactError: One is; the message calls it ``what``.
    """
    seen: set[str] = set()
    for name in names:
        need(name not in seen, where, f"the {what} {name!r} is given twice")
        seen.add(name)


def need(holds: bool, where: str, broken: str) -> None:  # noqa: FBT001 - the condition comes first, as in an assert
    """Check a condition.

    Raises:
        ArtifactError: It does not hold; the message is ``broken`` after the key path ``where``.
    """
    if not holds:
        raise ArtifactError(f"{where}: {broken}.")
