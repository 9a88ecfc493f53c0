"""sentence-transformers on torch, in float32 (the original that every fidelity is measured against) or bfloat16."""

from __future__ import annotations

import importlib

from peers.job import Encode, Job

DISTRIBUTIONS = ("sentence-transformers", "transformers", "torch")


def load(job: Job) -> Encode:
    torch = importlib.import_module("torch")
    library = importlib.import_module("sentence_transformers")
    torch.set_num_threads(job.threads)
    dtype = getattr(torch, job.options["dtype"])
    model = library.SentenceTransformer(job.source, device="cpu", model_kwargs={"dtype": dtype})
    # Of a bfloat16 model the vectors are bfloat16 too, which NumPy has not: encode() gives float32 then.
    return lambda texts: model.encode(list(texts), show_progress_bar=False)
