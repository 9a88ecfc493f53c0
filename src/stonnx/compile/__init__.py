"""From a Sentence Transformers model to an artifact."""

from __future__ import annotations

from stonnx.compile.run import Conversion, convert

__all__ = ["Conversion", "convert"]
