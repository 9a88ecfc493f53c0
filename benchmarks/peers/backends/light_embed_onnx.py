"""light-embed, with the artifact's portable float32 graph as a local model.

It has no option for threads: its engine takes the cores that the process may use.
"""

from __future__ import annotations

import importlib

from peers.job import Encode, Job

DISTRIBUTIONS = ("light-embed", "onnxruntime", "tokenizers", "numpy")


def load(job: Job) -> Encode:
    library = importlib.import_module("light_embed")
    config = {
        "onnx_file": "onnx/model.onnx",
        "pooling_config_path": "1_Pooling",
        "normalize": job.normalize,
        "onnx_output_map": {"last_hidden_state": "token_embeddings"},
    }
    model = library.TextEmbedding(job.artifact, device="cpu", model_config=config)
    return lambda texts: model.encode(list(texts))
