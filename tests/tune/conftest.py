"""A converted tiny model whose variants take as long, and drift as much, as a test says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, Goldens, file_entries, write_goldens, write_manifest
from stonnx.compile import convert
from stonnx.testing import make_tiny_model
from stonnx.verify import probe_texts

pytest.importorskip("onnxruntime")

SHORT_PROBES = tuple(text for text in probe_texts() if len(text) < 100)[:24]
TEXTS = tuple(f"text number {number} {'word ' * (number % 7)}" for number in range(40))


def streams_of(settings):
    """Streams that were asked for; None where each call has what fits it."""
    return None if settings.by_call else settings.streams


@dataclass
class World:
    """Simulated seconds: a text costs what its variant, streams and budget say; ``noise`` spoils vectors by variant."""

    cost: dict[str, float] = field(default_factory=lambda: {"fp32": 0.010, "portable": 0.020})
    per_streams: dict[int | None, float] = field(default_factory=dict)
    per_budget: dict[int, float] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)
    failing: set[object] = field(default_factory=set)
    now: float = 0.0
    loads: Counter[tuple[str, int, int | None]] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)

    def clock(self) -> float:
        return self.now

    def seconds(self, encoder: Encoder, budget: int | None) -> float:
        factor = self.per_streams.get(streams_of(encoder.settings), 1.0)
        return self.cost[encoder.variant.name] * factor * self.per_budget.get(budget or encoder.batch_tokens, 1.0)


@pytest.fixture(scope="session")
def known():
    """Vectors by text, of whatever variant came first: a text runs through the engine once."""
    return {}


@pytest.fixture
def world(monkeypatch, tmp_path, known):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("stonnx.runtime.streams.usable_cores", lambda: 2)
    made, load, encode = World(), Encoder.load.__func__, Encoder.encode

    def loading(cls, artifact, **options):
        encoder = load(cls, artifact, **options)
        made.loads[encoder.variant.name, encoder.threads, streams_of(encoder.settings)] += 1
        return encoder

    def encoding(self, texts, *, batch_tokens=None, **options):
        name = self.variant.name
        made.runs[name] += 1
        if {name, (name, streams_of(self.settings))} & made.failing:
            from stonnx.errors import RunError

            raise RunError("The engine gave up.")
        many = [texts] if isinstance(texts, str) else list(texts)
        if new := [text for text in dict.fromkeys(many) if text not in known]:
            known.update(zip(new, encode(self, new, batch_tokens=batch_tokens, **options), strict=True))
        vectors = known[texts] if isinstance(texts, str) else np.stack([known[text] for text in many])
        made.now += made.seconds(self, batch_tokens) * len(many)
        if name not in made.noise:
            return vectors
        rows = [np.random.default_rng(sum(map(ord, text))).normal(size=self.dimension) for text in many]
        return vectors + np.float32(made.noise[name]) * np.array(rows, np.float32).reshape(vectors.shape)

    monkeypatch.setattr(Encoder, "load", classmethod(loading))
    monkeypatch.setattr(Encoder, "encode", encoding)
    return made


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    out = folder / "out"
    convert(make_tiny_model(folder / "source"), out, verify=False, int8=False)
    with Encoder.load(out, variant="portable") as encoder:
        vectors = encoder.encode(SHORT_PROBES)
    write_goldens(out, Goldens(texts=SHORT_PROBES, vectors=vectors, reference={"dtype": "float32"}))
    write_manifest(out, replace(Artifact.open(out).manifest, files=file_entries(out)))
    return out


@pytest.fixture
def artifact(converted, tmp_path):
    """A copy with a third variant: ``fast``, twice as fast as fp32 where ``world`` does not say otherwise."""
    import shutil

    out = tmp_path / "artifact"
    shutil.copytree(converted, out)
    manifest = Artifact.open(out).manifest
    fast = replace(manifest.variants[1], name="fast", precision="int8", fidelity_class="balanced")
    write_manifest(out, replace(manifest, variants=(*manifest.variants[:2], fast)))  # without OpenVINO's
    return Artifact.open(out)


@pytest.fixture
def fast_world(world):
    world.cost["fast"] = 0.005
    return world
