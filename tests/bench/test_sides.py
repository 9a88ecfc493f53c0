from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import pytest

import stonnx.runtime
from stonnx import _extras
from stonnx.bench import BenchOptions, run_bench
from stonnx.bench.sides import open_sides
from stonnx.errors import MissingExtraError, UsageError
from stonnx.testing import make_tiny_model

ARTIFACT = SimpleNamespace(manifest=SimpleNamespace(kind="embedding"))


class FakeEncoder:
    artifact = ARTIFACT
    loaded: ClassVar[list[FakeEncoder]] = []

    def __init__(self, variant: str, threads: int) -> None:
        self.variant = type("FakeVariant", (), {"name": "fp32" if variant == "auto" else variant})
        self.threads, self.streams = (8, 4) if threads is None else (threads, 1)
        self.closed = False

    @classmethod
    def load(cls, artifact, *, variant, threads):
        cls.loaded.append(cls(variant, threads))
        return cls.loaded[-1]

    def encode(self, texts):
        raise AssertionError("nothing is encoded here")

    def close(self):
        self.closed = True


@pytest.fixture
def encoders(monkeypatch):
    monkeypatch.setattr(stonnx.runtime, "Encoder", FakeEncoder)
    monkeypatch.setattr(FakeEncoder, "loaded", [])
    return FakeEncoder


def test_without_the_original_the_portable_graph_is_the_other_side(encoders):
    with open_sides(ARTIFACT, variant="auto", against=None, threads=3) as sides:
        assert (sides.a.name, sides.b.name, sides.variant) == ("stonnx fp32", "stonnx portable", "fp32")
        assert [encoder.threads for encoder in encoders.loaded] == [3, 3]
        assert not any(encoder.closed for encoder in encoders.loaded)
    assert [encoder.closed for encoder in encoders.loaded] == [True, True]


def test_what_was_tuned_runs_as_it_was_tuned_and_the_other_side_gets_as_many_threads(encoders):
    with open_sides(ARTIFACT, variant="auto", against=None, threads=None) as sides:
        assert (sides.threads, sides.streams) == (8, 4)
        assert [(encoder.threads, encoder.streams) for encoder in encoders.loaded] == [(8, 4), (8, 1)]


def test_a_variant_is_not_measured_beside_itself(encoders):
    with (
        pytest.raises(UsageError, match="'portable'"),
        open_sides(ARTIFACT, variant="portable", against=None, threads=1),
    ):
        pass
    assert [encoder.closed for encoder in encoders.loaded] == [True, True]


def test_a_missing_reference_is_told_before_anything_is_loaded(encoders, monkeypatch, tmp_path):
    monkeypatch.setattr(_extras, "available", lambda module: False)
    with (
        pytest.raises(MissingExtraError) as caught,
        open_sides(ARTIFACT, variant="auto", against=tmp_path, threads=1),
    ):
        pass
    assert caught.value.hint.startswith('pip install "stonnx[reference]"')
    assert encoders.loaded == []


def test_a_real_artifact(tmp_path):
    pytest.importorskip("onnxruntime")
    from stonnx.compile import convert

    make_tiny_model(tmp_path / "tiny")
    convert(tmp_path / "tiny", tmp_path / "artifact", verify=False, int8=False)
    report = run_bench(tmp_path / "artifact", threads=1, options=BenchOptions(seconds=0.5, quick=True))
    assert report.sides == ("stonnx fp32", "stonnx portable")
    assert report.cosine_min > 0.99999
    assert [protocol.rounds >= 3 for protocol in report.protocols] == [True] * 3
    assert all(protocol.ratio_low <= protocol.ratio <= protocol.ratio_high for protocol in report.protocols)
