"""The rows of the table that token ids are looked up in, read from the graph file."""

from __future__ import annotations

import pytest

from stonnx.artifact import token_table
from stonnx.artifact.token_table import token_rows
from stonnx.errors import ArtifactError

onnx = pytest.importorskip("onnx")


def write(path, nodes, **tables):
    make = onnx.helper
    ids = make.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["rows", "tokens"])
    weights = [make.make_tensor(name, onnx.TensorProto.FLOAT, [n, 2], [0.0] * (2 * n)) for name, n in tables.items()]
    nodes = [make.make_node(operator, inputs, [f"out{i}"]) for i, (operator, inputs) in enumerate(nodes)]
    onnx.save(make.make_model(make.make_graph(nodes, "g", [ids], [], weights)), path)
    return path


@pytest.mark.parametrize(
    ("nodes", "rows"),
    [
        ([("Gather", ["words", "input_ids"])], 300),
        ([("Gather", ["types", "token_type_ids"]), ("Gather", ["words", "input_ids"])], 300),
        ([("Gather", ["words", "input_ids"]), ("Gather", ["types", "input_ids"])], 2),
        ([("EmbedLayerNormalization", ["input_ids", "token_type_ids", "words", "places", "types"])], 300),
        ([("Shape", ["input_ids"]), ("Gather", ["words", "out0"])], None),
        ([("Add", ["input_ids", "one"]), ("Gather", ["words", "out0"])], None),
        ([("Gather", ["computed", "input_ids"])], None),
        ([("Gather", ["input_ids", "one"])], None),
        ([("Gather", [])], None),
        ([], None),
    ],
)
def test_what_input_ids_is_looked_up_in(tmp_path, nodes, rows):
    path = write(tmp_path / "model.onnx", nodes, words=300, types=2, places=64)
    assert token_rows(path) == rows


def test_field_numbers_are_those_of_onnx():
    for message, name, number in (
        (onnx.ModelProto, "graph", token_table._MODEL_GRAPH),
        (onnx.GraphProto, "node", token_table._GRAPH_NODE),
        (onnx.GraphProto, "initializer", token_table._GRAPH_INITIALIZER),
        (onnx.NodeProto, "input", token_table._NODE_INPUT),
        (onnx.NodeProto, "op_type", token_table._NODE_OP),
        (onnx.TensorProto, "dims", token_table._TENSOR_DIMS),
        (onnx.TensorProto, "name", token_table._TENSOR_NAME),
    ):
        assert message.DESCRIPTOR.fields_by_name[name].number == number


def test_a_packed_shape(tmp_path):
    path = write(tmp_path / "model.onnx", [("Gather", ["words", "input_ids"])], words=300)
    apart, packed = b"\x08\xac\x02\x08\x02", b"\x0a\x03\xac\x02\x02"  # 300, 2
    content = path.read_bytes()
    assert content.count(apart) == 1
    path.write_bytes(content.replace(apart, packed))
    assert token_rows(path) == 300


@pytest.mark.parametrize("content", [b"", b"\x3a\xff"])
def test_a_damaged_file(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        token_rows(tmp_path / "model.onnx")
    with pytest.raises(ArtifactError, match="cannot be read"):
        token_rows(tmp_path / "nowhere.onnx")
