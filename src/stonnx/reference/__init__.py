"""The original side of every comparison: sentence-transformers on torch (extra ``reference``)."""

from __future__ import annotations

from stonnx.reference.bare_folder import ignored_settings
from stonnx.reference.sentence_transformers import ReferenceEncoder, import_reference, reference_available

__all__ = ["ReferenceEncoder", "ignored_settings", "import_reference", "reference_available"]
