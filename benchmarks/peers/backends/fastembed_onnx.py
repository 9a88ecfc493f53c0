"""fastembed, with the artifact's portable float32 graph as a custom model."""

from __future__ import annotations

import importlib

from peers.job import Encode, Job

DISTRIBUTIONS = ("fastembed", "onnxruntime", "tokenizers", "numpy")

_NAME = "peers/custom"


def load(job: Job) -> Encode:
    import numpy as np

    library = importlib.import_module("fastembed")
    description = importlib.import_module("fastembed.common.model_description")
    library.TextEmbedding.add_custom_model(
        model=_NAME,
        pooling=description.PoolingType[job.pooling.upper()],
        normalization=job.normalize,
        sources=description.ModelSource(hf=_NAME),
        dim=job.dimension,
        model_file="onnx/model.onnx",
        additional_files=["onnx/model.onnx_data"],
    )
    model = library.TextEmbedding(_NAME, specific_model_path=job.artifact, threads=job.threads)
    return lambda texts: np.stack(list(model.embed(list(texts)))).astype(np.float32, copy=False)
