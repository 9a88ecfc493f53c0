"""Older and newer layouts of ``stonnx.json``: what is refused, and how an older file is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stonnx._extras import UPGRADE
from stonnx.artifact.manifest import SCHEMA_VERSION
from stonnx.artifact.upgrades import from_1_to_2, from_2_to_3
from stonnx.errors import ArtifactError

__all__ = ["check_version", "upgraded"]

_OLDEST = 1
_STEPS: Mapping[int, Callable[[dict[str, object]], dict[str, object]]] = {1: from_1_to_2, 2: from_2_to_3}
"""What reads a file of a version as one of the next."""


def check_version(value: object) -> None:
    """Look at the version before anything else: a newer layout may differ in every other key.

    A missing or ill-typed version is left to the decoder.

    Raises:
        ArtifactError: The version is newer than this stonnx, or none that there ever was.
    """
    found = _version(value)
    if found is None or _OLDEST <= found <= SCHEMA_VERSION:
        return
    if found > SCHEMA_VERSION:
        raise ArtifactError(
            f"The artifact was written by a newer stonnx: its schema_version is {found}, "
            f"this stonnx reads {_OLDEST} to {SCHEMA_VERSION}.",
            hint=f"upgrade: {UPGRADE}",
        )
    raise ArtifactError(f"schema_version: expected {_OLDEST} to {SCHEMA_VERSION}, found {found}.")


def upgraded(value: object) -> object:
    """A parsed ``stonnx.json`` in the present layout, step by step; what is in it already comes back as it is.

    What has another shape than its version had is left for the decoder to name.

    Raises:
        ArtifactError: An older file has a key that came later, or lacks one.
    """
    while isinstance(value, dict) and (step := _STEPS.get(_version(value) or 0)) is not None:
        value = step(value)
    return value


def _version(value: object) -> int | None:
    found = value.get("schema_version") if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None
