"""The seam between the compile side and the runtime side: the artifact folder (``docs/artifact.md``)."""

from __future__ import annotations

from stonnx.artifact.codec import manifest_from_json, manifest_to_json
from stonnx.artifact.folder import Artifact, file_entries, write_manifest
from stonnx.artifact.goldens import Goldens, read_goldens, write_goldens
from stonnx.artifact.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    Fidelity,
    FileEntry,
    Manifest,
    Source,
    Stage,
    TokenizerSpec,
    Variant,
)
from stonnx.artifact.onnx_check import check_graph
from stonnx.artifact.texts import clean_text

__all__ = [
    "MANIFEST_NAME",
    "SCHEMA_VERSION",
    "Artifact",
    "Fidelity",
    "FileEntry",
    "Goldens",
    "Manifest",
    "Source",
    "Stage",
    "TokenizerSpec",
    "Variant",
    "check_graph",
    "clean_text",
    "file_entries",
    "manifest_from_json",
    "manifest_to_json",
    "read_goldens",
    "write_goldens",
    "write_manifest",
]
