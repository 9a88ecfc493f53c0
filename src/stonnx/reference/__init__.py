"""The original side of every comparison: sentence-transformers on torch (extra ``reference``)."""

from __future__ import annotations

from stonnx.reference.sentence_transformers import ReferenceEncoder, reference_available

__all__ = ["ReferenceEncoder", "reference_available"]
