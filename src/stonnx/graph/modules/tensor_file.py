"""Writes a safetensors file tensor by tensor, so that only one of them is in memory at a time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from stonnx.graph.parameters import TensorSource

__all__ = ["write_tensor_file"]

_ALIGNMENT_BYTES = 8  # of the header, as the format's own library has it


def write_tensor_file(path: Path, tensors: TensorSource) -> None:
    """Write every tensor of a source as float32 (https://huggingface.co/docs/safetensors, "Format").

    Args:
        path: The file to create.
        tensors: What goes into it, under the same names.

    Raises:
        CheckpointError: A tensor is damaged.
        OSError: The file cannot be written.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    names, offset = tensors.names(), 0
    for name in names:
        shape = tensors.shape(name)
        end = offset + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT_BYTES)
    with path.open("xb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            stream.write(np.ascontiguousarray(tensors.get(name), dtype="<f4").data.cast("B"))
