"""What stonnx authors is what loading allows: no operator more, and none fewer."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from stonnx.artifact.onnx_facts import read_onnx_facts
from stonnx.artifact.operators import OPERATORS
from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.graph import WeightFile, author_graph, make_blueprint
from stonnx.graph.architectures import FAMILIES
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import OpenVinoInt8, OrtCpu, OrtCpuInt8, Portable
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling
from stonnx.graph.modules.activations import ACTIVATIONS
from stonnx.graph.quantized import FixedRange, QuantizedProjection, ScalePerToken
from stonnx.testing import TinyModel, make_tiny_model
from tests.graph.integers import quantized_matrix
from tests.graph.layer_twin import make_layer, run_layer
from tests.graph.test_layers import EVERYTHING, batch

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
CHAIN = (
    Dense(path="", in_features=16 * len(MODES), out_features=24, bias=True, activation="Tanh", use_residual=True),
    *(
        Dense(path="", in_features=24, out_features=24, bias=True, activation=name, use_residual=True)
        for name in sorted([*ACTIVATIONS, "PReLU"])
    ),
    Dense(path="", in_features=24, out_features=16, bias=False, activation="GLU"),
    LayerNorm(path="", dimension=8),
    Normalize(),
)
RANGES = {
    "norm": FixedRange(multipliers=np.linspace(0.5, 1, 16, dtype=np.float32), scale=8 / 255, zero_point=128),
    "linear": FixedRange(multipliers=None, scale=8 / 255, zero_point=128),
    "attention": ScalePerToken(multipliers=None, zero_point=120),
    "activation": ScalePerToken(multipliers=None, zero_point=24, lower_bound=-0.1701),
}


class _Recorder(Portable):
    """Notes the projections of a model."""

    def __init__(self):
        super().__init__()
        self.blocks = []

    def project(self, g, p, x, block, *folded):
        self.blocks.append(block)
        return super().project(g, p, x, block, *folded)


def _authored(folder, out):
    """The operators of a model in every dialect, as a reader of the files sees them."""
    source = resolve_source(folder)
    with Weights.open(source) as weights, WeightFile(out / "model.onnx_data") as file:
        blueprint = make_blueprint(source, read_model(source), weights)
        found = set()

        def author(dialect):
            graph = author_graph(blueprint, dialect, file, lambda path: Weights.open(source, path))
            onnx.save(graph.model, out / "model.onnx")
            facts = read_onnx_facts(out / "model.onnx")
            assert not facts.programs
            found.update(facts.operators)

        recorder = _Recorder()
        author(recorder)
        plans = {block.site: _plan(blueprint.parameters, block) for block in recorder.blocks}
        for dialect in (
            Portable(),
            OrtCpu(),
            OrtCpuInt8(plans),
            OpenVinoInt8(plans, static=False),
            OpenVinoInt8(plans, static=True),
        ):
            author(dialect)
    return found


def _plan(parameters, block):
    how = RANGES[block.source]
    copies = np.array([0, 2])
    matrices = [parameters.get(linear.weight).T for linear in block.linears]
    matrices = tuple(quantized_matrix(np.concatenate([matrix, matrix[copies]])) for matrix in matrices)
    return QuantizedProjection(input=how, matrices=matrices, copies=copies)


@pytest.mark.slow
def test_the_allowed_operators_are_those_of_every_family_dialect_and_head(tmp_path):
    found = set()
    heads = [(Pooling(modes=MODES, include_prompt=include_prompt), *CHAIN) for include_prompt in (True, False)]
    models = [TinyModel(head=head, hidden=16, layers=1, positions=24) for head in heads]
    models += [
        TinyModel(head=(Pooling(),), family=family, hidden_act=act, hidden=16, layers=1, positions=24)
        for family in FAMILIES
        for act in ("gelu", "gelu_new", "relu")
    ]
    for number, model in enumerate(models):
        out = tmp_path / str(number)
        found |= _authored(make_tiny_model(out, model), out)
    x, mask = batch("right")
    found |= {("", name) for name in run_layer(tmp_path, make_layer(**EVERYTHING), Portable(), x, mask)[1]}
    assert found == {(domain, name) for domain, names in OPERATORS.items() for name in names}


def test_another_operator_cannot_be_authored(tmp_path):
    with WeightFile(tmp_path / "weights") as weights:
        g = GraphBuilder("x", weights)
        for domain in ("", "com.microsoft", "else"):
            with pytest.raises(ValueError, match="not in artifact/operators"):
                g.op("Loop", [], domain=domain)
