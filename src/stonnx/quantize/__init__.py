"""int8 for models that stonnx authors: calibration, balance, rounding, and what stays in float32."""

from __future__ import annotations

from stonnx.quantize.rounding import FULL_RANGE, SEVEN_BITS
from stonnx.quantize.run import Target, quantize
from stonnx.quantize.texts import calibration_edges, calibration_texts, selection_edges, selection_texts
from stonnx.quantize.trials import OnStep, Quantized
from stonnx.quantize.workbench import Workbench

__all__ = [
    "FULL_RANGE",
    "SEVEN_BITS",
    "OnStep",
    "Quantized",
    "Target",
    "Workbench",
    "calibration_edges",
    "calibration_texts",
    "quantize",
    "selection_edges",
    "selection_texts",
]
