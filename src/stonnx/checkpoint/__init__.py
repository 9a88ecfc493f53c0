"""Model folders and hub repositories, read: a ``ModelSpec`` and memory-mapped weights, without torch."""

from __future__ import annotations

from stonnx.checkpoint.read import read_model
from stonnx.checkpoint.source import SourceFolder, resolve_source
from stonnx.checkpoint.spec import (
    Classification,
    ModelSpec,
    ModuleEntry,
    Prompts,
)
from stonnx.checkpoint.stored import FloatType, StoredTensor
from stonnx.checkpoint.weights import Weights

__all__ = [
    "Classification",
    "FloatType",
    "ModelSpec",
    "ModuleEntry",
    "Prompts",
    "SourceFolder",
    "StoredTensor",
    "Weights",
    "read_model",
    "resolve_source",
]
