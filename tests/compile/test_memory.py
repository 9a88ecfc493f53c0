"""Conversion holds about the largest tensor, not the model."""

from __future__ import annotations

import tracemalloc

import pytest

from stonnx.compile import convert
from stonnx.graph.modules import Dense, Normalize, Pooling

WIDE = 384
LARGEST_BYTES = 4 * WIDE * 4 * WIDE  # the residual of the Dense module, in float32
DENSE = {"bias": True, "activation": "Tanh", "use_residual": True}
HEAD = (
    Pooling(),
    Dense(path="", in_features=WIDE, out_features=4 * WIDE, **DENSE),
    Dense(path="", in_features=4 * WIDE, out_features=WIDE, **DENSE),
    Normalize(),
)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_peak(source, tiny, tmp_path, dtype):
    convert(source, tmp_path / "first", verify=False, int8=False)  # what is imported and cached is not the model's
    folder = tiny(hidden=WIDE, layers=4, head=HEAD, dtype=dtype)
    tracemalloc.start()
    try:
        done = convert(folder, tmp_path / "out", verify=False, int8=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    written = sum(entry.size_bytes for entry in done.manifest.files)
    assert written > 15 * LARGEST_BYTES
    # A tensor, its transposed copy, and the check that its numbers are finite.
    assert peak < 3 * LARGEST_BYTES
