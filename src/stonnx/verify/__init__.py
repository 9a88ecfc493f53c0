"""Verification: is the artifact still the original model, on this machine?

>>> from stonnx.verify import verify
>>> report = verify("my-model-onnx", against="my-model")
>>> report.passed
True
"""

from __future__ import annotations

from stonnx.verify.bare_folder import BareFolder
from stonnx.verify.measure import measure_variant
from stonnx.verify.measure_scores import measure_scores
from stonnx.verify.original import (
    AnyOriginal,
    Original,
    OriginalReranker,
    make_goldens,
    make_pair_goldens,
    run_original,
)
from stonnx.verify.pair_probes import probe_pairs
from stonnx.verify.pairs import LabelledPair, read_pairs, read_unlabelled_pairs
from stonnx.verify.probes import probe_texts
from stonnx.verify.record import record_verification
from stonnx.verify.report import (
    AnyVariantReport,
    Report,
    ScoreTolerance,
    ScoreVariantReport,
    SkippedVariant,
    Tolerance,
    VariantReport,
)
from stonnx.verify.run import OnVariant, verify
from stonnx.verify.settle import Settled, given_class, settle

__all__ = [
    "AnyOriginal",
    "AnyVariantReport",
    "BareFolder",
    "LabelledPair",
    "OnVariant",
    "Original",
    "OriginalReranker",
    "Report",
    "ScoreTolerance",
    "ScoreVariantReport",
    "Settled",
    "SkippedVariant",
    "Tolerance",
    "VariantReport",
    "given_class",
    "make_goldens",
    "make_pair_goldens",
    "measure_scores",
    "measure_variant",
    "probe_pairs",
    "probe_texts",
    "read_pairs",
    "read_unlabelled_pairs",
    "record_verification",
    "run_original",
    "settle",
    "verify",
]
