"""embed-anything on candle, its engine for safetensors; the model comes out of a made-up hub cache."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers.backends.hub_cache import make_hub_cache, use_hub_cache
from peers.job import Encode, Job

DISTRIBUTIONS = ("embed-anything", "numpy")

_MODEL = "peers/local"


def prepare(job: Job) -> None:
    """Make the hub cache."""
    make_hub_cache(job.prepared_folder, _MODEL, Path(job.source))


def load(job: Job) -> Encode:
    import numpy as np

    use_hub_cache(job.prepared_folder)
    library = importlib.import_module("embed_anything")
    pooling = library.Pooling.Cls if job.pooling == "cls" else library.Pooling.Mean
    model = library.EmbeddingModel.from_pretrained_hf(_MODEL, pooling=pooling)

    def encode(texts: Sequence[str]) -> Any:
        return np.array([found.embedding for found in model.embed_query(list(texts))], dtype=np.float32)

    return encode
