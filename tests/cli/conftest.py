"""An artifact folder with real metadata and no model, and stand-ins for what the verbs call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import stonnx
from stonnx.artifact import (
    Fidelity,
    Manifest,
    Source,
    Stage,
    TokenizerSpec,
    Variant,
    file_entries,
    write_manifest,
)
from stonnx.verify import Report, Tolerance, VariantReport
from tests.manifests import embedding_manifest, one_graph

FIDELITY = Fidelity(texts=101, cosine_mean=0.99999999, cosine_min=0.99999991, max_abs_diff=4.2e-7, top10_overlap=0.9998)
GRAPHS = {"fp32": "onnx/model_optimized.onnx", "portable": "onnx/model.onnx"}


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch, tmp_path):
    """Short relative paths in an empty folder, on a narrow terminal without settings of the developer's."""
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "STONNX_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    # A relative PYTHONPATH would not survive the next line in subprocesses.
    monkeypatch.setenv("PYTHONPATH", str(Path(stonnx.__file__).parents[1]))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def manifest() -> Manifest:
    shared = ("onnx/model.onnx_data", "tokenizer.json")
    return embedding_manifest(
        stonnx_version="0.1.0",
        source=Source(name="org/model-with-a-rather-long-name-v2", revision="0123456789abcdef0123456789abcdef01234567"),
        dimension=4,
        tokenizer=TokenizerSpec(file="tokenizer.json", max_tokens=256, pad_id=0),
        stages=(
            Stage(kind="Transformer"),
            Stage(kind="Pooling", options={"pooling_mode": ["mean", "cls"], "include_prompt": True}),
            Stage(kind="Dense", options={"activation": "Tanh"}),
            Stage(kind="Normalize"),
        ),
        prompts={"query": "query: ", "passage": "passage: "},
        default_prompt_name="query",
        similarity="cosine",
        truncate_dim=None,
        variants=tuple(
            Variant(
                name=name,
                engine="onnxruntime",
                graphs=one_graph(graph, "input_ids", *(() if name == "fp32" else ("attention_mask",))),
                files=(graph, *shared),
                fidelity=FIDELITY,
            )
            for name, graph in GRAPHS.items()
        ),
        verified=True,
        files=(),
    )


@pytest.fixture
def artifact(tmp_path, manifest) -> str:
    """The relative path of a folder that opens as an artifact; its graphs are not graphs."""
    folder = tmp_path / "art"
    for name in (*GRAPHS.values(), "onnx/model.onnx_data", "tokenizer.json", "config.json"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (200_000 if name.endswith("data") else 20))
    write_manifest(folder, replace(manifest, files=file_entries(folder)))
    return "art"


@pytest.fixture
def unverified(artifact, manifest) -> str:
    folder = Path(artifact)
    variants = tuple(replace(variant, fidelity=None) for variant in manifest.variants)
    write_manifest(folder, replace(manifest, files=file_entries(folder), variants=variants, verified=False))
    return artifact


def make_report(*, failures: tuple[str, ...] = (), spearman: float | None = None) -> Report:
    return Report(
        reference={"sentence-transformers": "6.2.0", "torch": "2.13.0", "transformers": "5.23.0", "dtype": "float32"},
        compared_with="original",
        machine={"cpu": "A Processor With A Long Name @ 2.10GHz", "usable_cores": 2, "os": "Linux 6.1", "python": "3"},
        tolerance=Tolerance(),
        variants=tuple(
            VariantReport(
                name=name,
                fidelity=FIDELITY,
                max_norm_diff=1e-7,
                max_batch_diff=1e-7,
                worst_text="a \x1b[31m text \ud800 " * 10,
                spearman=spearman,
                reference_spearman=spearman,
                failures=failures if name == "fp32" else (),
            )
            for name in GRAPHS
        ),
    )


class FakeEncoder:
    """Stands in for ``stonnx.runtime.Encoder``: a text's vector is made of its length; long texts are truncated."""

    max_tokens = 256
    dimension = 4
    calls: list[dict[str, object]]

    def __init__(self, artifact: str, **options: object) -> None:
        self.artifact, self.options = artifact, options
        self.calls, self.truncated_texts, self.closed = [], 0, False

    @classmethod
    def load(cls, artifact, **options):
        cls.last = cls(artifact, **options)
        return cls.last

    def encode(self, texts, **options):
        self.calls.append(options)
        self.truncated_texts += sum(len(text) > 256 for text in texts)
        dimension = options.get("truncate_dim") or 4
        rows = [[len(text), 0.1, -1 / 3, 1e-9][:dimension] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(rows), dimension)

    def close(self):
        self.closed = True


@pytest.fixture
def fake_encoder(monkeypatch):
    monkeypatch.setattr("stonnx.runtime.Encoder", FakeEncoder)
    return FakeEncoder


@pytest.fixture
def terminal(monkeypatch):
    """stdout and stderr as if a person watched them, with colour off so that the text can be read."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("stonnx.cli._console.is_terminal", lambda stream: True)
    monkeypatch.setattr("stonnx.cli.encode.is_terminal", lambda stream: True)
