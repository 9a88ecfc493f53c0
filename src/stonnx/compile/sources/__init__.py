"""Graph sources: whatever writes graphs into a folder that becomes an artifact, and says which variants they are.

Graphs are authored today, in float and in int8. Ones that an exporter wrote, or that came with a model, enter by the
same door: a class with ``write``, and ``stonnx.graph.append_chain`` for the modules after the transformer.
"""

from __future__ import annotations

from stonnx.compile.sources.authored import AuthoredFloat
from stonnx.compile.sources.base import GraphSource, Written
from stonnx.compile.sources.quantized import AuthoredInt8

__all__ = ["AuthoredFloat", "AuthoredInt8", "GraphSource", "Written"]
