"""int8 for models that stonnx authors: calibration, balance, rounding, and what stays in float32."""

from __future__ import annotations

from stonnx.quantize.material import MOST_TOKENS, Material, calibration_step, make_material
from stonnx.quantize.run import quantize
from stonnx.quantize.selection import QuantizedClass
from stonnx.quantize.texts import calibration_edges, calibration_texts, selection_edges, selection_texts
from stonnx.quantize.trials import Quantized
from stonnx.quantize.workspace import Workspace

__all__ = [
    "MOST_TOKENS",
    "Material",
    "Quantized",
    "QuantizedClass",
    "Workspace",
    "calibration_edges",
    "calibration_step",
    "calibration_texts",
    "make_material",
    "quantize",
    "selection_edges",
    "selection_texts",
]
