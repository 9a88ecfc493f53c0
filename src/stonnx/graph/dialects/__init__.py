"""One dialect per target; each is one file."""

from __future__ import annotations

from stonnx.graph.dialects.base import CannotWriteError, Dialect
from stonnx.graph.dialects.openvino_int8 import OpenVinoInt8
from stonnx.graph.dialects.ort_cpu import OrtCpu
from stonnx.graph.dialects.ort_cpu_int8 import OrtCpuInt8
from stonnx.graph.dialects.portable import Portable

__all__ = ["CannotWriteError", "Dialect", "OpenVinoInt8", "OrtCpu", "OrtCpuInt8", "Portable"]
