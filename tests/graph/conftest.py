"""Authors a tiny model in both dialects and runs the graphs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest

from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.graph import WeightFile, author_graph, make_blueprint
from stonnx.graph.dialects import OrtCpu, Portable
from stonnx.testing import make_tiny_model
from tests.checkpoint.conftest import edit, source, tiny

__all__ = ["author", "edit", "equal", "padded", "source", "tiny"]


def _author(folder, out):
    source = resolve_source(folder)
    spec = read_model(source)
    weights = Weights.open(source, spec.transformer_path)
    blueprint = make_blueprint(source, spec, weights)
    graphs, sessions = {}, {}
    with WeightFile(out / "model.onnx_data") as file:
        for dialect in (Portable(), OrtCpu()):
            graph = author_graph(blueprint, dialect, file, lambda path: Weights.open(source, path))
            path = out / f"{dialect.name}.onnx"
            onnx.save(graph.model, path)
            graphs[dialect.name] = graph
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for name in graphs:
        sessions[name] = onnxruntime.InferenceSession(out / f"{name}.onnx", options)
    return SimpleNamespace(
        spec=spec, weights=weights, blueprint=blueprint, graphs=graphs, sessions=sessions, folder=out, source=source
    )


@pytest.fixture
def author(tmp_path):
    """A function: options of TinyModel in, the authored graphs and their sessions out."""

    def make(model):
        out = tmp_path / "graphs"
        out.mkdir()
        return _author(make_tiny_model(tmp_path / "model", model), out)

    return make


@pytest.fixture
def padded():
    """Three rows of 12, 7 and 1 tokens, padded at the end to 12."""
    rng = np.random.default_rng(7)
    ids = rng.integers(5, 40, (3, 12))
    mask = (np.arange(12) < np.array([[12], [7], [1]])).astype(np.int64)
    return ids * mask, mask


@pytest.fixture
def equal():
    """Four rows of nine tokens."""
    return np.random.default_rng(8).integers(5, 40, (4, 9))
