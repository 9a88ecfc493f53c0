"""kjarni, an engine of its own in Rust: its catalogue's models only, so the files go where its download puts them."""

from __future__ import annotations

import importlib
import shutil

from peers.job import Encode, Job

DISTRIBUTIONS = ("kjarni", "numpy")

_NAMES = {"all-MiniLM-L6-v2": "minilm-l6-v2", "all-mpnet-base-v2": "mpnet-base-v2"}


def prepare(job: Job) -> None:
    """Fill its cache."""
    shutil.copytree(job.source, job.prepared_folder / f"sentence-transformers_{job.name}")


def load(job: Job) -> Encode:
    library = importlib.import_module("kjarni")
    if job.name not in _NAMES:
        raise ValueError(f"its catalogue has no {job.name}")
    model = library.Embedder(_NAMES[job.name], cache_dir=job.prepared, normalize=job.normalize, quiet=True)
    return lambda texts: model.encode_batch(list(texts))
