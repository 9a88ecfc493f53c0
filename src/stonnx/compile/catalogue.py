"""Every variant that ``convert`` knows, one row each.

Rows that name the same file share a graph; rows that name the same data file share weights. How the rows of a batch
must lie (padded under a mask, or of equal lengths) is the dialect's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from stonnx.artifact.manifest import Device, FidelityClass, Precision
from stonnx.graph.dialects import Dialect, OpenVinoInt8, OrtCpu, OrtCpuInt8, Portable
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize import QuantizedClass

__all__ = ["CLOSE", "FAST", "FLOAT_ROWS", "FLOAT_WEIGHTS", "INT8_ROWS", "INT8_WEIGHTS", "REFERENCE", "Row", "Target"]

Target = tuple[QuantizedClass, ...]
"""Fidelity classes in the order of preference: the first one that can be reached decides."""
CLOSE: Target = ("high", "balanced")
FAST: Target = ("balanced",)

FLOAT_WEIGHTS = "onnx/model.onnx_data"
INT8_WEIGHTS = "onnx/model_int8.onnx_data"  # most of the integers of the variants are the same

# Where OpenVINO quantises inputs itself. Elsewhere it computes on the same weights in float32, which gains nothing.
_OPENVINO_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")
_OPENVINO_GROUPS = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "64"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant.

    Attributes:
        name: What it is called.
        file: Its graph, POSIX.
        dialect: Makes a fresh instance of what writes the graph; a dialect in float ignores the projections.
        engine: What runs it.
        device: Where it runs.
        precision: Arithmetic of the matrix products.
        fidelity_class: What it must keep. For int8 the weakest: the class is what the selection reached.
        target: For int8, the classes to reach; else none.
        instruction_sets: The CPU must have at least one of them; none for any CPU.
        options: Settings of the engine.
    """

    name: str
    file: str
    dialect: Callable[[QuantizedProjections], Dialect]
    engine: str = "onnxruntime"
    device: Device = "cpu"
    precision: Precision = "fp32"
    fidelity_class: FidelityClass = "exact"
    target: Target = ()
    instruction_sets: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


def _ort_cpu(_: QuantizedProjections) -> Dialect:
    return OrtCpu()


def _portable(_: QuantizedProjections) -> Dialect:
    return Portable()


REFERENCE = Row(name="fp32", file="onnx/model_optimized.onnx", dialect=_ort_cpu)
"""The first variant of an artifact; int8 is measured against it."""

FLOAT_ROWS: tuple[Row, ...] = (
    REFERENCE,
    Row(name="portable", file="onnx/model.onnx", dialect=_portable),
    Row(name="openvino", file="onnx/model.onnx", dialect=_portable, engine="openvino"),
    Row(
        name="openvino-bf16",
        file="onnx/model.onnx",
        dialect=_portable,
        engine="openvino",
        precision="bf16",
        fidelity_class="lossless",
        instruction_sets=("avx512_bf16", "amx_bf16"),
        options={"INFERENCE_PRECISION_HINT": "bf16"},
    ),
)
"""What every artifact has, over one file of float32 weights."""

INT8_ROWS: tuple[Row, ...] = (
    Row(
        name="int8",
        file="onnx/model_int8.onnx",
        dialect=OrtCpuInt8,
        precision="int8",
        fidelity_class="balanced",
        target=CLOSE,
    ),
    Row(
        name="int8-fast",
        file="onnx/model_int8_fast.onnx",
        dialect=OrtCpuInt8,
        precision="int8",
        fidelity_class="balanced",
        target=FAST,
    ),
    Row(
        name="openvino-int8",
        file="onnx/model_int8_openvino.onnx",
        dialect=partial(OpenVinoInt8, static=False),
        engine="openvino",
        precision="int8",
        fidelity_class="balanced",
        target=FAST,
        instruction_sets=_OPENVINO_PRODUCTS,
        options=_OPENVINO_GROUPS,
    ),
    Row(
        name="openvino-int8-static",
        file="onnx/model_int8_openvino_static.onnx",
        dialect=partial(OpenVinoInt8, static=True),
        engine="openvino",
        precision="int8",
        fidelity_class="balanced",
        target=FAST,
        instruction_sets=_OPENVINO_PRODUCTS,
        options=_OPENVINO_GROUPS,
    ),
)
"""What int8 adds, over one file of integers."""
