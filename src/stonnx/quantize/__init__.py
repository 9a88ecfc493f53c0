"""int8 for models that stonnx authors: calibration, balance, rounding, and what stays in float32."""

from __future__ import annotations

from stonnx.quantize.bench import Bench
from stonnx.quantize.rounding import FULL_RANGE, SEVEN_BITS
from stonnx.quantize.run import Target, quantize
from stonnx.quantize.texts import calibration_edges, calibration_texts, selection_edges, selection_texts
from stonnx.quantize.trials import OnStep, Quantized

__all__ = [
    "FULL_RANGE",
    "SEVEN_BITS",
    "Bench",
    "OnStep",
    "Quantized",
    "Target",
    "calibration_edges",
    "calibration_texts",
    "quantize",
    "selection_edges",
    "selection_texts",
]
