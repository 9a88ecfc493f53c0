"""The real all-MiniLM-L6-v2, converted once with int8: the figures that random weights cannot show."""

from __future__ import annotations

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.artifact import keeps
from stonnx.artifact.fidelity_class import BOUNDS

pytestmark = [pytest.mark.slow, pytest.mark.reference]

# Pairs that mean the same, next to each other.
SENTENCES = (
    "The cat is sleeping on the sofa.",
    "A kitten naps on the couch.",
    "Shares fell sharply on Wall Street today.",
    "The stock market dropped this afternoon.",
    "How do I bake a loaf of bread?",
    "What is a good recipe for bread?",
)


def nearest(vectors):
    cosines = vectors @ vectors.T - 2 * np.eye(len(vectors))
    return cosines.argmax(axis=1).tolist()


def test_every_variant_keeps_its_class_on_the_original_s_vectors(minilm_conversion):
    report = minilm_conversion.report
    assert report.passed
    short_proof = {"portable", "openvino"}  # float32 beside the first: a wrong graph shows on any text
    assert {v.name: v.fidelity.texts for v in report.variants if v.name in short_proof} == {
        v.name: 33 for v in report.variants if v.name in short_proof
    }
    assert {v.fidelity.texts for v in report.variants if v.name not in short_proof} == {122}
    found = {variant.name: variant for variant in report.variants}
    assert found.keys() >= {"fp32", "portable", "int8", "int8-fast"}
    for name in ("fp32", "portable"):
        assert (found[name].fidelity_class, found[name].measured_class) == ("exact", "exact")
    for name in ("int8", "int8-fast"):
        fidelity = found[name].fidelity
        assert keeps(found[name].measured_class, "balanced")
        assert fidelity.max_abs_diff > 1e-4  # these are integers
        assert BOUNDS["balanced"].cosine_mean <= fidelity.cosine_mean < 1
        assert BOUNDS["balanced"].cosine_min <= fidelity.cosine_min


def test_int8_halves_what_is_not_embeddings(minilm_conversion):
    """The integers of both int8 variants lie in one file."""
    sizes = {entry.path: entry.size_bytes for entry in minilm_conversion.manifest.files}
    variants = {v.name: sum(sizes[path] for path in v.files) for v in minilm_conversion.manifest.variants}
    embeddings = 30522 * 384 * 4
    assert variants["fp32"] > 90e6
    assert variants["int8"] - embeddings < 0.5 * (variants["fp32"] - embeddings)


@pytest.mark.parametrize("name", ["fp32", "int8", "int8-fast"])
def test_sentences_that_mean_the_same_are_nearest(minilm_conversion, name):
    with Encoder.load(minilm_conversion.path, variant=name) as encoder:
        assert encoder.max_tokens == 256
        assert nearest(encoder.encode(SENTENCES, normalize=True)) == [1, 0, 3, 2, 5, 4]
