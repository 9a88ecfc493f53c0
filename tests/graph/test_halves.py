"""Halves of a checkpoint reach a graph as they are, where a graph wants them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.graph import WeightFile, make_blueprint
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.parts import stored_vector, vector
from stonnx.testing import TinyModel, make_tiny_model
from tests.graph.integers import open_session

WORDS = "embeddings.word_embeddings.weight"
TYPES = {
    "float16": onnx.TensorProto.FLOAT16,
    "bfloat16": onnx.TensorProto.BFLOAT16,
    "float32": onnx.TensorProto.FLOAT,
}


@pytest.mark.parametrize("dtype", TYPES)
def test_a_table_is_stored_as_the_checkpoint_has_it(tmp_path, dtype):
    source = resolve_source(make_tiny_model(tmp_path / "model", TinyModel(dtype=dtype)))
    with Weights.open(source) as weights, WeightFile(tmp_path / "graph.onnx_data") as file:
        parameters = make_blueprint(source, read_model(source), weights).parameters
        g = GraphBuilder("g", file)
        g.input("input_ids", ("rows", "tokens"))
        found = g.op("Gather", [stored_vector(g, parameters, WORDS), "input_ids"])
        wide = g.op("Cast", [found], attributes={"to": onnx.TensorProto.FLOAT})
        g.output(wide, "y", ("rows", "tokens", 32))
        onnx.save(g.model(), tmp_path / "graph.onnx")
        file.flush()
        expected = parameters.get(WORDS)
    (tensor,) = g.model().graph.initializer
    entries = {entry.key: entry.value for entry in tensor.external_data}
    assert tensor.data_type == TYPES[dtype]
    assert int(entries["length"]) == expected.size * (4 if dtype == "float32" else 2)
    ids = np.arange(len(expected))[None]
    (y,) = open_session(tmp_path / "graph.onnx").run(None, {"input_ids": ids})
    np.testing.assert_array_equal(y[0], expected)


def test_both_forms_of_a_tensor_lie_in_one_file(tmp_path):
    source = resolve_source(make_tiny_model(tmp_path / "model", TinyModel(dtype="float16")))
    with Weights.open(source) as weights, WeightFile(tmp_path / "graph.onnx_data") as file:
        parameters = make_blueprint(source, read_model(source), weights).parameters
        names = []
        for number, write in enumerate((stored_vector, vector, stored_vector, vector)):
            g = GraphBuilder(f"g{number}", file)
            names.append(write(g, parameters, WORDS))
    assert names == [f"{WORDS}.float16", WORDS] * 2
    size = parameters.source.shape(WORDS)[0] * 32
    assert (tmp_path / "graph.onnx_data").stat().st_size == -(-size * 2 // 4096) * 4096 + size * 4
