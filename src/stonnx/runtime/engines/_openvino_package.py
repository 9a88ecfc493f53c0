"""The openvino package, and its settings."""

from __future__ import annotations

import re
import threading
from types import ModuleType

import numpy as np

from stonnx._extras import require
from stonnx.artifact.manifest import Variant
from stonnx.runtime.cores import usable_cores
from stonnx.runtime.engines._options import check_options

__all__ = ["compile_settings", "import_openvino"]

_lock = threading.Lock()

# What a variant may set, and to which values; what it leaves out is set all the same. OpenVINO's own defaults would
# be bfloat16 wherever the CPU has it, and activations quantised in groups of 32 in front of int8 weights.
_OPTIONS = {
    "INFERENCE_PRECISION_HINT": ("f32", re.compile(r"f32|bf16", re.ASCII)),
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": ("0", re.compile(r"[0-9]{1,20}", re.ASCII)),
}


def import_openvino() -> ModuleType:
    """The ``openvino`` package, ready to be used by several threads.

    Raises:
        MissingExtraError: openvino is not installed.
    """
    with _lock:
        openvino = require("openvino", extra="openvino", purpose="run models with OpenVINO")
        # Its bindings set up NumPy at first use, and two threads that come first at once wait for each other for ever.
        _ = openvino.Tensor(np.zeros(1, dtype=np.int64)).data
        return openvino


def compile_settings(variant: Variant, *, threads: int) -> dict[str, object]:
    """Properties to compile a variant's graph with.

    Args:
        variant: Its ``options`` are checked here.
        threads: Threads of one run.

    Raises:
        ArtifactError: An option is unknown, or has a value that is not allowed.
    """
    check_options(variant, {name: pattern for name, (_, pattern) in _OPTIONS.items()}, engine="OpenVINO")
    # Fewer threads than cores: the caller runs several batches at a time, and each needs a stream of its own.
    streams = max(1, usable_cores() // threads)
    return {
        **{name: variant.options.get(name, default) for name, (default, _) in _OPTIONS.items()},
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads * streams,
        # Pinned threads of two processes or engines would fight for the same cores.
        "ENABLE_CPU_PINNING": False,
    }
