"""libembedding-ng, which loads a folder with model.onnx and tokenizer.json: the artifact's portable float32 graph."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path

from peers.job import Encode, Job

DISTRIBUTIONS = ("libembedding-ng", "numpy")


def prepare(job: Job) -> None:
    """Lay the files out as it wants them."""
    artifact = Path(job.artifact)
    for name in ("tokenizer.json", "config.json", "onnx/model.onnx", "onnx/model.onnx_data"):
        shutil.copy2(artifact / name, job.prepared_folder / Path(name).name)


def load(job: Job) -> Encode:
    library = importlib.import_module("libembedding")
    os.chdir(job.prepared_folder)  # it looks for the weights beside the graph in the current folder
    model = library.TextEmbedding(
        os.fspath(job.prepared_folder),
        threads=job.threads,
        offline=True,
        max_length=job.max_tokens,
        dim=job.dimension,
        pooling=job.pooling,
    )
    return lambda texts: model.embed(list(texts))
