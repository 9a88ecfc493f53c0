"""A tiny model with all that it takes to quantise it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx

from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.graph import WeightFile, author_graph, make_blueprint
from stonnx.graph.dialects import OrtCpu, OrtCpuInt8
from stonnx.quantize import Material, Workspace, quantize
from stonnx.quantize.calibration import observe
from stonnx.quantize.projections import quantize_layer
from stonnx.quantize.sessions import Runner, output_rows
from stonnx.quantize.yardsticks import EmbeddingYardstick
from stonnx.runtime.tokenize import TextTokenizer
from stonnx.testing import make_tiny_model

WORDS = "hello world of and to in is a text number river stone paper light".split()
TARGETS = (("high", "balanced"), ("balanced",))


def some_texts(count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, int(rng.integers(1, 30)))) for _ in range(count)]


def embeddings(graph, rows, workspace):
    with Runner(graph.parent) as runner:
        session, width = runner.open_file(graph), workspace.blueprint.dimension
        return output_rows(runner, session, rows, output="sentence_embedding", width=width)


class Setup:
    """A tiny model with its float32 graph, and token rows to quantise it with."""

    def __init__(self, folder, model, stack):
        source = resolve_source(make_tiny_model(folder / "model", model))
        spec = read_model(source)
        weights = stack(Weights.open(source, spec.transformer_path))
        self.folder = folder / "graphs"
        self.folder.mkdir()
        self.workspace = Workspace(
            blueprint=make_blueprint(source, spec, weights),
            folder=self.folder,
            weights=stack(WeightFile(self.folder / "model.onnx_data")),
            float_graph=self.folder / "model.onnx",
            open_weights=lambda path: stack(Weights.open(source, path)),
        )
        graph = author_graph(self.workspace.blueprint, OrtCpu(), self.workspace.weights, self.workspace.open_weights)
        onnx.save(graph.model, self.workspace.float_graph)
        self.workspace.weights.flush()
        tokenizer = TextTokenizer(source.path / "tokenizer.json", max_tokens=spec.max_tokens)
        self.calibration, self.held_out = (tokenizer.rows(some_texts(40, seed)) for seed in (1, 2))

    def quantize(self, targets=TARGETS, *, calibration=None, natural=None, **options):
        material = Material(
            calibration=self.calibration if calibration is None else calibration,
            held_out=self.held_out,
            yardstick=EmbeddingYardstick(natural=len(self.held_out) if natural is None else natural),
        )
        return quantize(self.workspace, material, targets=targets, **options)

    def observe(self):
        """What calibration sees, of each layer or of those that share weights."""
        with Runner(self.folder) as runner:
            return list(observe(self.workspace, self.calibration, runner))

    def statistics(self):
        """By site."""
        return {site: found for seen in self.observe() for site, found in seen.statistics.items()}

    def projections(self):
        """By site."""
        return {site: block for seen in self.observe() for site, block in seen.projections.items()}

    def candidates(self):
        """What a model can be made of, by site."""
        parameters = self.workspace.blueprint.parameters
        seen = [quantize_layer(found.projections, found.statistics, parameters) for found in self.observe()]
        return {candidate.site: candidate for found in seen for candidate in found}

    def vectors(self, projections):
        """Of the held-out texts: by a graph of their own with these integers, and by the float32 graph."""
        path = Path(tempfile.mkdtemp(dir=self.folder.parent)) / "again.onnx"
        with WeightFile(path.with_suffix(".onnx_data")) as weights:
            dialect = OrtCpuInt8(projections)
            onnx.save(author_graph(self.workspace.blueprint, dialect, weights, self.workspace.open_weights).model, path)
        graphs = (path, self.workspace.float_graph)
        return [embeddings(graph, self.held_out, self.workspace) for graph in graphs]


def losses(found, wanted):
    """1 - cosine, row by row, of vectors of length 1 or not."""
    found, wanted = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (found, wanted))
    return 1 - (found * wanted).sum(axis=1, dtype=np.float64)
