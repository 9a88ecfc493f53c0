"""Older and newer layouts of ``stonnx.json``: what is refused, and how an older file is read."""

from __future__ import annotations

from stonnx._extras import UPGRADE
from stonnx.artifact.manifest import SCHEMA_VERSION
from stonnx.errors import ArtifactError

__all__ = ["check_version", "upgraded"]

_OLDEST = 1

# What the variants of version 1 are, in the words of version 2.
_NEW_IN_2: dict[str, object] = {
    "precision": "fp32",
    "instruction_sets": [],
    "options": {},
    "fidelity_class": "exact",
}


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
    """A parsed ``stonnx.json`` in the present layout; what is already in it, or is no manifest, comes back as it is.

    Raises:
        ArtifactError: A version 1 file has a key that came with version 2.
    """
    if not isinstance(value, dict) or _version(value) != 1:
        return value
    variants = value.get("variants")
    if isinstance(variants, list):
        variants = [_upgraded_variant(variant, f"variants[{n}]") for n, variant in enumerate(variants)]
        value = {**value, "variants": variants}
    return {**value, "schema_version": SCHEMA_VERSION}


def _upgraded_variant(variant: object, where: str) -> object:
    if not isinstance(variant, dict):
        return variant
    for key in _NEW_IN_2:
        if key in variant:
            raise ArtifactError(f"{where}.{key}: unknown key in a file of schema_version 1.")
    return {**variant, **_NEW_IN_2}


def _version(value: object) -> int | None:
    found = value.get("schema_version") if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None
