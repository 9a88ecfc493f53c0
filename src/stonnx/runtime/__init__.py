"""Runs an artifact: text in, sentence embeddings out."""

from __future__ import annotations

from stonnx.runtime.cores import usable_cores
from stonnx.runtime.encoder import Encoder
from stonnx.runtime.engines.base import Batch, Engine

__all__ = ["Batch", "Encoder", "Engine", "usable_cores"]
