"""infinity (infinity_emb) with its torch engine: the engine of the server, called in process."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from typing import Any

from peers.job import Encode, Job

DISTRIBUTIONS = ("infinity-emb", "sentence-transformers", "transformers", "torch")


def load(job: Job) -> Encode:
    import numpy as np

    importlib.import_module("torch").set_num_threads(job.threads)
    library = importlib.import_module("infinity_emb")
    arguments = library.EngineArgs(
        model_name_or_path=job.source,
        engine="torch",
        device="cpu",
        dtype="float32",
        model_warmup=False,
        lengths_via_tokenize=False,
    )
    loop = asyncio.new_event_loop()
    engine = library.AsyncEmbeddingEngine.from_args(arguments)
    loop.run_until_complete(engine.astart())

    def encode(texts: Sequence[str]) -> Any:
        vectors, _ = loop.run_until_complete(engine.embed(sentences=list(texts)))
        return np.stack(vectors)

    return encode
