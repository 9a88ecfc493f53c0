"""The variants that need no files of their own: the portable graph by another engine or in another arithmetic."""

from __future__ import annotations

from dataclasses import replace

from stonnx.artifact import Variant

__all__ = ["openvino_variants"]


def openvino_variants(portable: Variant) -> tuple[Variant, ...]:
    """OpenVINO on the portable graph: in float32, and in bfloat16 for CPUs that multiply it."""
    exact = replace(portable, name="openvino", engine="openvino")
    bfloat16 = replace(
        exact,
        name="openvino-bf16",
        precision="bf16",
        instruction_sets=("avx512_bf16", "amx_bf16"),
        options={"INFERENCE_PRECISION_HINT": "bf16"},
        fidelity_class="lossless",
    )
    return exact, bfloat16
