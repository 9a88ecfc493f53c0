"""The seam between the compile side and the runtime side: the artifact folder (``docs/artifact.md``)."""

from __future__ import annotations

from stonnx.artifact.codec import manifest_from_json, manifest_to_json
from stonnx.artifact.fidelity_class import classify, keeps
from stonnx.artifact.folder import Artifact, file_entries, file_entry, write_manifest
from stonnx.artifact.foreign import foreign_files
from stonnx.artifact.goldens import AnyGoldens, Goldens, PairGoldens, read_goldens, write_goldens
from stonnx.artifact.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    TUNE_FOLDER,
    Fidelity,
    FidelityClass,
    FileEntry,
    Graph,
    Kind,
    Manifest,
    Output,
    Precision,
    ScoreFidelity,
    Scoring,
    Source,
    Stage,
    TokenizerSpec,
    Tower,
    Variant,
)
from stonnx.artifact.onnx_check import check_graphs
from stonnx.artifact.texts import clean_text

__all__ = [
    "MANIFEST_NAME",
    "SCHEMA_VERSION",
    "TUNE_FOLDER",
    "AnyGoldens",
    "Artifact",
    "Fidelity",
    "FidelityClass",
    "FileEntry",
    "Goldens",
    "Graph",
    "Kind",
    "Manifest",
    "Output",
    "PairGoldens",
    "Precision",
    "ScoreFidelity",
    "Scoring",
    "Source",
    "Stage",
    "TokenizerSpec",
    "Tower",
    "Variant",
    "check_graphs",
    "classify",
    "clean_text",
    "file_entries",
    "file_entry",
    "foreign_files",
    "keeps",
    "manifest_from_json",
    "manifest_to_json",
    "read_goldens",
    "write_goldens",
    "write_manifest",
]
