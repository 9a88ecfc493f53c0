"""Authors ONNX graphs from a checkpoint: architectures × dialects, with the head in the graph."""

from __future__ import annotations

from stonnx.graph.author import AuthoredGraph, Blueprint, author_graph, draw
from stonnx.graph.builder import WeightFile

__all__ = ["AuthoredGraph", "Blueprint", "WeightFile", "author_graph", "draw"]
