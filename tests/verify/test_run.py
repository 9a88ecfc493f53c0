"""Verification of a converted tiny model against goldens, and what it notices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, Goldens, file_entries, write_goldens, write_manifest
from stonnx.compile import convert
from stonnx.errors import ArtifactError, UsageError
from stonnx.testing import make_tiny_model
from stonnx.verify import LabelledPair, probe_texts, verify


@pytest.fixture
def artifact(tmp_path):
    """An artifact whose goldens are its own vectors: enough to test the comparison without torch."""
    out = tmp_path / "out"
    convert(make_tiny_model(tmp_path / "source"), out, verify=False)
    with Encoder.load(out, variant="portable") as encoder:
        store_goldens(out, encoder.encode(probe_texts()))
    return out


def store_goldens(out, vectors):
    write_goldens(out, Goldens(texts=probe_texts(), vectors=vectors, reference={"dtype": "float32"}))
    write_manifest(out, replace(Artifact.open(out).manifest, files=file_entries(out)))


def test_passes(artifact):
    report = verify(artifact)
    assert report.passed
    assert [variant.name for variant in report.variants] == ["fp32", "portable"]
    assert report.variants[0].fidelity.texts == len(probe_texts())
    assert report.to_json()["passed"] is True
    assert report.machine["versions"]["onnxruntime"]


@pytest.mark.parametrize(
    ("damage", "failure"),
    [
        (lambda v: v + np.float32(1e-3), "lowest cosine"),
        (lambda v: v * np.float32(1.001), "difference of vector lengths"),
        (lambda v: v + np.eye(*v.shape, dtype=np.float32) * np.float32(1e-5), "largest difference"),
    ],
)
def test_other_goldens_fail(artifact, damage, failure):
    goldens = Artifact.open(artifact).goldens()
    store_goldens(artifact, damage(goldens.vectors))
    report = verify(artifact)
    assert not report.passed
    assert all(any(failure in line for line in variant.failures) for variant in report.variants)


def test_a_variant_that_mixes_rows_fails(artifact, monkeypatch):
    """A vector that depends on its neighbours in the batch is caught, though the batch as a whole agrees."""
    honest = Encoder.encode

    def drifting(self, texts, **options):
        vectors = honest(self, texts, **options)
        return vectors + np.float32(1e-3) if isinstance(texts, str) else vectors

    monkeypatch.setattr(Encoder, "encode", drifting)
    report = verify(artifact)
    assert all("between alone and in a batch" in variant.failures[0] for variant in report.variants)


def test_damaged_weights_are_an_error(artifact):
    weights = artifact / "onnx" / "model.onnx_data"
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model\.onnx_data was changed"):
        verify(artifact)


def test_pairs_give_a_rank_correlation(artifact):
    texts = probe_texts()
    pairs = [LabelledPair(texts[20], texts[20 + step], float(step)) for step in range(6)]
    report = verify(artifact, pairs=pairs)
    assert all(-1.0 <= variant.spearman <= 1.0 for variant in report.variants)
    assert report.variants[0].reference_spearman is None


def test_unverified_says_what_to_do(tmp_path):
    convert(make_tiny_model(tmp_path / "source"), tmp_path / "out", verify=False)
    with pytest.raises(UsageError, match="unverified") as caught:
        verify(tmp_path / "out")
    assert "--against" in caught.value.hint


def test_own_texts_need_the_original(artifact):
    with pytest.raises(UsageError, match="need the original model"):
        verify(artifact, texts=["mine"])
