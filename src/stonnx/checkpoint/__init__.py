"""Model folders and hub repositories, read: a ``ModelSpec`` and memory-mapped weights, without torch."""

from __future__ import annotations

from stonnx.checkpoint.read import read_model
from stonnx.checkpoint.source import SourceFolder, resolve_source
from stonnx.checkpoint.spec import (
    Dense,
    HeadModule,
    LayerNorm,
    ModelSpec,
    Normalize,
    Pooling,
    PoolingMode,
    Prompts,
)
from stonnx.checkpoint.weights import Weights

__all__ = [
    "Dense",
    "HeadModule",
    "LayerNorm",
    "ModelSpec",
    "Normalize",
    "Pooling",
    "PoolingMode",
    "Prompts",
    "SourceFolder",
    "Weights",
    "read_model",
    "resolve_source",
]
