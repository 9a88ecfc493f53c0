"""stonnx itself: a variant of the artifact by name, or ``auto``."""

from __future__ import annotations

from peers.job import Encode, Job

DISTRIBUTIONS = ("stonnx", "onnxruntime", "numpy", "tokenizers")


def load(job: Job) -> Encode:
    from stonnx import Encoder

    streams = job.threads if "streams" in job.options else None
    encoder = Encoder.load(job.artifact, variant=job.options["variant"], threads=job.threads, streams=streams)
    return lambda texts: encoder.encode(list(texts))
