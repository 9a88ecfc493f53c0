"""candding, on candle: its catalogue's ids only, so the model comes out of a made-up hub cache under its real id."""

from __future__ import annotations

import importlib
from pathlib import Path

from peers.backends.hub_cache import make_hub_cache, use_hub_cache
from peers.job import Encode, Job

DISTRIBUTIONS = ("candding", "numpy")


def _model_id(job: Job) -> str:
    """The id on the hub of the model that ``job.name`` is."""
    organisation = "moka-ai" if job.name.startswith("m3e") else "sentence-transformers"
    return f"{organisation}/{job.name}"


def prepare(job: Job) -> None:
    """Make the hub cache."""
    make_hub_cache(job.prepared_folder, _model_id(job), Path(job.source))


def load(job: Job) -> Encode:
    use_hub_cache(job.prepared_folder)
    model = importlib.import_module("candding").TextEmbedding(
        _model_id(job), device="cpu", max_length=job.max_tokens, normalize=job.normalize
    )
    return lambda texts: model.embed(list(texts))
