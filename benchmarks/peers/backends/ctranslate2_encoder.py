"""CTranslate2's Encoder: last hidden states only, so the tokens, the batches and the pooling are ours, in NumPy.

Texts are sorted by their tokens and run 32 at a time, as sentence-transformers does.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers.job import Encode, Job

DISTRIBUTIONS = ("ctranslate2", "transformers", "tokenizers")

_BATCH = 32


def prepare(job: Job) -> None:
    """Convert with its converter for Transformers models."""
    converter = importlib.import_module("ctranslate2.converters").TransformersConverter(job.source)
    converter.convert(job.prepared, quantization=job.options["compute_type"], force=True)


def load(job: Job) -> Encode:
    import numpy as np

    library = importlib.import_module("ctranslate2")
    tokenizer = importlib.import_module("tokenizers").Tokenizer.from_file(str(Path(job.source) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(job.max_tokens)
    model = library.Encoder(
        job.prepared, device="cpu", compute_type=job.options["compute_type"], intra_threads=job.threads
    )

    def encode(texts: Sequence[str]) -> Any:
        rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
        vectors = np.empty((len(rows), job.dimension), dtype=np.float32)
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            states = np.array(model.forward_batch([rows[index] for index in part]).last_hidden_state)
            vectors[part] = _pool(states, [len(rows[index]) for index in part], job.pooling)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if job.normalize else vectors

    return encode


def _pool(states: Any, lengths: Sequence[int], pooling: str) -> Any:
    """(rows, tokens, width) to (rows, width), over each row's own tokens."""
    import numpy as np

    if pooling == "cls":
        return states[:, 0]
    mask = np.arange(states.shape[1])[None, :, None] < np.array(lengths)[:, None, None]
    return (states * mask).sum(axis=1) / np.array(lengths, dtype=np.float32)[:, None]
