"""The ONNX backend of sentence-transformers 5.7 with optimum-onnx: exported, optimised at O3, or int8 by a preset."""

from __future__ import annotations

import importlib
from typing import Any

from peers.job import Encode, Job

DISTRIBUTIONS = ("sentence-transformers", "optimum", "optimum-onnx", "transformers", "onnxruntime", "torch")


def prepare(job: Job) -> None:
    """Export, save, and where asked optimise or quantise with the library's own functions."""
    library = importlib.import_module("sentence_transformers")
    model = library.SentenceTransformer(job.source, backend="onnx", device="cpu", model_kwargs={"export": True})
    model.save_pretrained(job.prepared)
    backend = importlib.import_module("sentence_transformers.backend")
    if level := job.options.get("optimize"):
        backend.export_optimized_onnx_model(model, level, job.prepared)
    if preset := job.options.get("quantize"):
        backend.export_dynamic_quantized_onnx_model(model, preset, job.prepared)


def load(job: Job) -> Encode:
    runtime = importlib.import_module("onnxruntime")
    library = importlib.import_module("sentence_transformers")
    importlib.import_module("torch").set_num_threads(job.threads)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = job.threads
    arguments: dict[str, Any] = {
        "file_name": _file_name(job),
        "provider": "CPUExecutionProvider",
        "session_options": options,
    }
    model = library.SentenceTransformer(job.prepared, backend="onnx", device="cpu", model_kwargs=arguments)
    return lambda texts: model.encode(list(texts), show_progress_bar=False)


def _file_name(job: Job) -> str:
    """The file that the library named itself, such as ``model_qint8_avx512_vnni.onnx``."""
    ending = job.options.get("quantize") or job.options.get("optimize") or "model"
    found = sorted(path.name for path in (job.prepared_folder / "onnx").glob(f"*{ending}.onnx"))
    return f"onnx/{found[0]}"
