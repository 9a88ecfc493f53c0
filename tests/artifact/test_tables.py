"""The sizes of the tables of tokens and positions, read from the graph file."""

from __future__ import annotations

import pytest

from stonnx.artifact import tables
from stonnx.artifact.tables import TableSizes, read_table_sizes
from stonnx.errors import ArtifactError

onnx = pytest.importorskip("onnx")


def write(path, nodes, **sizes):
    make = onnx.helper
    ids = make.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["rows", "tokens"])
    weights = [make.make_tensor(name, onnx.TensorProto.FLOAT, [n, 2], [0.0] * (2 * n)) for name, n in sizes.items()]
    nodes = [make.make_node(operator, inputs, [f"out{i}"]) for i, (operator, inputs) in enumerate(nodes)]
    onnx.save(make.make_model(make.make_graph(nodes, "g", [ids], [], weights)), path)
    return path


@pytest.mark.parametrize(
    ("nodes", "rows"),
    [
        ([("Gather", ["words", "input_ids"])], 300),
        ([("Gather", ["types", "token_type_ids"]), ("Gather", ["words", "input_ids"])], 300),
        ([("Gather", ["words", "input_ids"]), ("Gather", ["types", "input_ids"])], 2),
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
    assert read_table_sizes(path) == TableSizes(tokens=rows, positions=None)


WORDS = ("Gather", ["words", "input_ids"])


@pytest.mark.parametrize(
    ("nodes", "positions"),
    [
        ([WORDS, ("Slice", ["places", "zero", "length", "zero"])], 64),
        ([WORDS, ("Gather", ["types", "token_type_ids"]), ("Slice", ["places", "zero", "length", "zero"])], 64),
        ([WORDS, ("Add", ["ranks", "two"]), ("Gather", ["places", "out1"])], 61),
        ([WORDS, ("Add", ["ranks", "computed"]), ("Gather", ["places", "out1"])], None),
        ([WORDS, ("Mul", ["ranks", "two"]), ("Gather", ["places", "out1"])], None),
        ([("Slice", ["places", "zero", "length", "zero"])], None),
        ([WORDS, ("Slice", ["two", "zero", "length", "zero"])], None),
        ([WORDS, ("Slice", ["computed", "zero", "length", "zero"])], None),
    ],
)
@pytest.mark.parametrize("raw", [True, False])
def test_positions(tmp_path, nodes, positions, raw):
    path = write(tmp_path / "model.onnx", nodes, words=300, types=2, places=64)
    model = onnx.load(path)
    value = b"\2" + bytes(7) if raw else [2]
    model.graph.initializer.append(onnx.helper.make_tensor("two", onnx.TensorProto.INT64, [], value, raw=raw))
    onnx.save(model, path)
    assert read_table_sizes(path).positions == positions


def test_field_numbers_are_those_of_onnx():
    for message, name, number in (
        (onnx.ModelProto, "graph", tables._MODEL_GRAPH),
        (onnx.GraphProto, "node", tables._GRAPH_NODE),
        (onnx.GraphProto, "initializer", tables._GRAPH_INITIALIZER),
        (onnx.NodeProto, "input", tables._NODE_INPUT),
        (onnx.NodeProto, "output", tables._NODE_OUTPUT),
        (onnx.NodeProto, "op_type", tables._NODE_OP),
        (onnx.TensorProto, "int64_data", tables._TENSOR_INT64_DATA),
        (onnx.TensorProto, "raw_data", tables._TENSOR_RAW_DATA),
        (onnx.TensorProto, "dims", tables._TENSOR_DIMS),
        (onnx.TensorProto, "name", tables._TENSOR_NAME),
    ):
        assert message.DESCRIPTOR.fields_by_name[name].number == number


def test_a_packed_shape(tmp_path):
    path = write(tmp_path / "model.onnx", [("Gather", ["words", "input_ids"])], words=300)
    apart, packed = b"\x08\xac\x02\x08\x02", b"\x0a\x03\xac\x02\x02"  # 300, 2
    content = path.read_bytes()
    assert content.count(apart) == 1
    path.write_bytes(content.replace(apart, packed))
    assert read_table_sizes(path).tokens == 300


@pytest.mark.parametrize("content", [b"", b"\x3a\xff"])
def test_a_damaged_file(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        read_table_sizes(tmp_path / "model.onnx")
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_table_sizes(tmp_path / "nowhere.onnx")
