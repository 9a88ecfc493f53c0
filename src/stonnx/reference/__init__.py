"""The original side of every comparison: sentence-transformers on torch (extra ``reference``)."""

from __future__ import annotations

from stonnx.reference.bare_folder import ignored_settings
from stonnx.reference.cross_encoder import ReferenceReranker
from stonnx.reference.loading import import_reference, reference_available
from stonnx.reference.positions import PositionCut
from stonnx.reference.sentence_transformers import ReferenceEncoder

__all__ = [
    "PositionCut",
    "ReferenceEncoder",
    "ReferenceReranker",
    "ignored_settings",
    "import_reference",
    "reference_available",
]
