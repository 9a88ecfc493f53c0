"""Verification of a converted tiny model against goldens, and what it notices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, Goldens, file_entries, write_goldens, write_manifest
from stonnx.compile import convert
from stonnx.errors import ArtifactError, UnsupportedModelError, UsageError
from stonnx.testing import make_tiny_model
from stonnx.verify import LabelledPair, probe_texts, verify


@pytest.fixture
def artifact(tmp_path):
    """An artifact whose goldens are its own vectors: enough to test the comparison without torch."""
    out = tmp_path / "out"
    convert(make_tiny_model(tmp_path / "source"), out, verify=False, int8=False)
    with Encoder.load(out, variant="portable") as encoder:
        store_goldens(out, encoder.encode(probe_texts()))
    return out


def store_goldens(out, vectors):
    write_goldens(out, Goldens(texts=probe_texts(), vectors=vectors, reference={"dtype": "float32"}))
    write_manifest(out, replace(Artifact.open(out).manifest, files=file_entries(out)))


def test_passes(artifact):
    report = verify(artifact)
    assert report.passed
    assert [variant.name for variant in report.variants][:2] == ["fp32", "portable"]
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
    exact = [variant for variant in report.variants if variant.fidelity_class == "exact"]
    assert all(any(failure in line for line in variant.failures) for variant in exact)


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
    convert(make_tiny_model(tmp_path / "source"), tmp_path / "out", verify=False, int8=False)
    with pytest.raises(UsageError, match="unverified") as caught:
        verify(tmp_path / "out")
    assert "--against" in caught.value.hint


def test_own_texts_need_the_original(artifact):
    with pytest.raises(UsageError, match="need the original model"):
        verify(artifact, texts=["mine"])


def add_variants(out, *variants):
    manifest = Artifact.open(out).manifest
    write_manifest(out, replace(manifest, variants=(*manifest.variants, *variants)))


def rough(out, **changes):
    """A variant called rough on the portable graph, which promises the class high."""
    portable = Artifact.open(out).variant("portable")
    return replace(portable, **{"name": "rough", "precision": "int8", "fidelity_class": "high", **changes})


@pytest.fixture
def noise(monkeypatch):
    """Makes the variant ``rough`` as rough as ``noise.scale`` says; a text's noise is its own."""
    honest = Encoder.encode

    def noisy(self, texts, **options):
        vectors = honest(self, texts, **options)
        if self.variant.name != "rough":
            return vectors
        many = [texts] if isinstance(texts, str) else texts
        rows = [np.random.default_rng(sum(map(ord, text))).normal(size=self.dimension) for text in many]
        return vectors + np.float32(noisy.scale) * np.array(rows, np.float32).reshape(vectors.shape)

    monkeypatch.setattr(Encoder, "encode", noisy)
    noisy.scale = 0.0
    return noisy


@pytest.mark.parametrize(
    ("scale", "promised", "found", "passed"),
    [
        (0.0, "high", "exact", True),
        (1e-5, "high", "lossless", True),
        (1e-5, "lossless", "lossless", True),
        (1.0, "balanced", None, False),
    ],
)
def test_a_variant_is_held_to_its_class(artifact, noise, scale, promised, found, passed):
    noise.scale = scale
    add_variants(artifact, rough(artifact, fidelity_class=promised))
    report = verify(artifact)
    variant = report.variants[-1]
    assert (variant.fidelity_class, variant.measured_class, variant.passed) == (promised, found, passed)
    assert report.passed is passed
    assert report.variants[0].measured_class == "exact"
    assert [line.startswith("mean cosine") for line in variant.failures[:1]] == [True] * (not passed)
    written = report.to_json()
    assert written["class_bounds"]["balanced"]["cosine_min"] == 0.97
    assert written["variants"][-1]["measured_class"] == found


def test_a_variant_that_cannot_run_here_is_skipped_and_told(artifact, monkeypatch):
    monkeypatch.setattr("stonnx.runtime.loading.cpu_features", lambda: frozenset({"avx2"}))
    add_variants(
        artifact, rough(artifact, instruction_sets=("amx_int8",)), rough(artifact, name="other", engine="abacus")
    )
    report = verify(artifact)
    assert report.passed
    assert [variant.name for variant in report.variants][:2] == ["fp32", "portable"]
    told = [(skipped.name, skipped.reason) for skipped in report.skipped if "openvino" not in skipped.name]
    assert told == [
        ("rough", "it needs a CPU with amx_int8; this one has avx2"),
        ("other", "no engine 'abacus'"),
    ]


def test_where_nothing_can_run_the_first_variant_says_why(artifact, monkeypatch):
    monkeypatch.setattr("stonnx.runtime.loading.cpu_features", frozenset)
    manifest = Artifact.open(artifact).manifest
    needy = tuple(replace(variant, instruction_sets=("amx_int8",)) for variant in manifest.variants)
    write_manifest(artifact, replace(manifest, variants=needy))
    with pytest.raises(UnsupportedModelError, match="needs a CPU with amx_int8; the system does not tell"):
        verify(artifact)
