"""Verification: is the artifact still the original model, on this machine?"""

from __future__ import annotations

from stonnx.verify.measure import measure_variant
from stonnx.verify.pairs import LabelledPair, read_pairs
from stonnx.verify.probes import probe_texts
from stonnx.verify.report import Report, SkippedVariant, Tolerance, VariantReport
from stonnx.verify.run import make_goldens, verify

__all__ = [
    "LabelledPair",
    "Report",
    "SkippedVariant",
    "Tolerance",
    "VariantReport",
    "make_goldens",
    "measure_variant",
    "probe_texts",
    "read_pairs",
    "verify",
]
