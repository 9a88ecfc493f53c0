"""The OpenVINO backend of sentence-transformers with optimum-intel: exported, or quantised statically to int8."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from peers.job import Encode, Job

DISTRIBUTIONS = ("sentence-transformers", "optimum-intel", "openvino", "transformers", "torch")


def prepare(job: Job) -> None:
    """Export, save, and where asked quantise with the library's function, on texts that nothing is measured on.

    Its default calibration data, sst2, is on a hub; here the same number of samples comes from the corpus.
    """
    library = importlib.import_module("sentence_transformers")
    model = library.SentenceTransformer(job.source, backend="openvino", device="cpu", model_kwargs={"export": True})
    model.save_pretrained(job.prepared)
    if "quantize" not in job.options:
        return
    texts = job.prepared_folder / "calibration"
    texts.mkdir(parents=True, exist_ok=True)
    lines = Path(job.calibration).read_text(encoding="utf-8").splitlines()
    rows = "".join(json.dumps({"text": json.loads(line)["text"]}) + "\n" for line in lines)
    (texts / "train.jsonl").write_text(rows, encoding="utf-8")
    importlib.import_module("sentence_transformers.backend").export_static_quantized_openvino_model(
        model,
        None,
        job.prepared,
        dataset_name=str(texts),
        dataset_config_name="default",
        dataset_split="train",
        column_name="text",
    )


def load(job: Job) -> Encode:
    library = importlib.import_module("sentence_transformers")
    importlib.import_module("torch").set_num_threads(job.threads)
    arguments: dict[str, Any] = {"ov_config": {"INFERENCE_NUM_THREADS": str(job.threads)}}
    arguments["file_name"] = (
        "openvino/openvino_model_qint8_quantized.xml" if "quantize" in job.options else "openvino/openvino_model.xml"
    )
    model = library.SentenceTransformer(job.prepared, backend="openvino", device="cpu", model_kwargs=arguments)
    return lambda texts: model.encode(list(texts), show_progress_bar=False)
