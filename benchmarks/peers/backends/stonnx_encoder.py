"""stonnx itself: a variant of the artifact by name, or ``auto``."""

from __future__ import annotations

from peers.job import Encode, Job

DISTRIBUTIONS = ("stonnx", "onnxruntime", "numpy", "tokenizers")


def load(job: Job) -> Encode:
    from stonnx import Encoder

    encoder = Encoder.load(job.artifact, variant=job.options["variant"], threads=job.threads)
    return lambda texts: encoder.encode(list(texts))
