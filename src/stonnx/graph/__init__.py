"""Authors ONNX graphs from a checkpoint: architectures × dialects, with the head in the graph."""

from __future__ import annotations

from stonnx.graph.append import append_chain
from stonnx.graph.author import AuthoredGraph, Blueprint, author_graph, make_blueprint
from stonnx.graph.builder import WeightFile

__all__ = ["AuthoredGraph", "Blueprint", "WeightFile", "append_chain", "author_graph", "make_blueprint"]
