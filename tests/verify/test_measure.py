"""A variant of an embedding model against reference vectors, with an encoder that is wrong on purpose."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from stonnx.artifact import Goldens
from stonnx.verify import measure_variant

TEXTS = tuple(f"text {number}" for number in range(24))
VECTORS = np.random.default_rng(2).standard_normal((len(TEXTS), 8)).astype(np.float32)


class FakeEncoder:
    """Gives the reference's vectors, and for a single text something else."""

    def __init__(self, alone):
        self.variant = SimpleNamespace(name="fake", fidelity_class="high", precision="int8")
        self.streams = 2
        self.alone = np.float32(alone)

    def encode(self, texts):
        if isinstance(texts, str):
            return VECTORS[TEXTS.index(texts)] + self.alone
        return np.stack([VECTORS[TEXTS.index(text)] for text in texts])


@pytest.mark.parametrize(
    ("alone", "found", "sure"), [(0.0, "exact", False), (1.0, None, True), (float("nan"), None, True)]
)
def test_a_class_that_the_batch_decides_is_sure_whatever_chance_does(monkeypatch, alone, found, sure):
    monkeypatch.setattr("stonnx.verify.measure.is_sure", lambda *_: False)
    goldens = Goldens(texts=TEXTS, vectors=VECTORS, reference={"dtype": "float32"})
    report = measure_variant(FakeEncoder(alone), goldens)
    assert (report.measured_class, report.class_is_sure, report.passed) == (found, sure, found is not None)


@pytest.mark.parametrize(("precision", "found"), [("fp32", "exact"), ("int8", None)])
@pytest.mark.parametrize("alone", [1.0, float("nan")])
def test_beyond_float32_a_text_that_only_the_second_look_finds_decides(precision, found, alone):
    class OneText(FakeEncoder):
        def encode(self, texts):
            self.alone = np.float32(alone if texts == TEXTS[3] else 0)
            return super().encode(texts)

    encoder = OneText(0.0)
    encoder.variant.precision = precision
    encoder.streams = 1
    goldens = Goldens(texts=TEXTS, vectors=VECTORS, reference={"dtype": "float32"})
    assert measure_variant(encoder, goldens).measured_class == found
