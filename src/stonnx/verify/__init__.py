"""Verification: is the artifact still the original model, on this machine?"""

from __future__ import annotations

from stonnx.verify.measure import measure_variant
from stonnx.verify.original import BareFolder, Original, make_goldens, run_original
from stonnx.verify.pairs import LabelledPair, read_pairs
from stonnx.verify.probes import probe_texts
from stonnx.verify.record import record_verification
from stonnx.verify.report import Report, SkippedVariant, Tolerance, VariantReport
from stonnx.verify.run import verify
from stonnx.verify.settle import Settled, given_class, settle

__all__ = [
    "BareFolder",
    "LabelledPair",
    "Original",
    "Report",
    "Settled",
    "SkippedVariant",
    "Tolerance",
    "VariantReport",
    "given_class",
    "make_goldens",
    "measure_variant",
    "probe_texts",
    "read_pairs",
    "record_verification",
    "run_original",
    "settle",
    "verify",
]
