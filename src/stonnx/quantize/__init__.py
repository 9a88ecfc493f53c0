"""int8 for models that stonnx authors: calibration, balance, rounding, and what stays in float32."""

from __future__ import annotations

from stonnx.quantize.run import quantize
from stonnx.quantize.selection import QuantizedClass
from stonnx.quantize.texts import calibration_edges, calibration_texts, selection_edges, selection_texts
from stonnx.quantize.trials import OnStep, Quantized
from stonnx.quantize.workbench import Workbench

__all__ = [
    "OnStep",
    "Quantized",
    "QuantizedClass",
    "Workbench",
    "calibration_edges",
    "calibration_texts",
    "quantize",
    "selection_edges",
    "selection_texts",
]
