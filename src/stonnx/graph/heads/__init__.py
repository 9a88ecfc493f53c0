"""The modules behind the transformer, written with standard operators for every dialect."""

from __future__ import annotations

from stonnx.graph.heads.chain import author_head, head_width
from stonnx.graph.heads.dense import OpenWeights

__all__ = ["OpenWeights", "author_head", "head_width"]
