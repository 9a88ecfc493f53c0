"""The graph builder and the weight file."""

from __future__ import annotations

import tracemalloc

import numpy as np
import onnx
import pytest

from stonnx.graph.builder import GraphBuilder, WeightFile
from tests.graph.integers import open_session


@pytest.fixture
def weights(tmp_path):
    with WeightFile(tmp_path / "model.onnx_data") as file:
        yield file


def test_a_weight_is_loaded_and_written_once(weights, tmp_path):
    calls = []

    def load():
        calls.append(1)
        return np.arange(6, dtype=np.float32)

    for name in ("first", "second"):
        GraphBuilder(name, weights).weight("w", load)
    assert calls == [1]


def test_bytes_are_where_the_tensor_says(tmp_path):
    path = tmp_path / "model.onnx_data"
    arrays = {f"w{index}": np.random.default_rng(index).normal(size=(index + 1, 7)).astype("f4") for index in range(4)}
    with WeightFile(path) as file:
        tensors = {name: file.tensor(name, lambda array=array: array.T) for name, array in arrays.items()}
    content = path.read_bytes()
    for name, tensor in tensors.items():
        entry = {item.key: item.value for item in tensor.external_data}
        start, length = int(entry["offset"]), int(entry["length"])
        stored = np.frombuffer(content[start : start + length], np.float32).reshape(tuple(tensor.dims))
        assert np.array_equal(stored, arrays[name].T)


def test_constants_are_shared_and_checked(weights):
    g = GraphBuilder("g", weights)
    assert g.ints(1, 2) == g.ints(1, 2)
    assert g.scalar(0.5) == g.scalar(0.5)
    g.constant("c", np.array([1.0]))
    with pytest.raises(ValueError, match="already another constant"):
        g.constant("c", np.array([2.0]))
    with pytest.raises(ValueError, match="too large for a constant"):
        g.constant("large", np.zeros(2000))


def test_weight_file_is_never_overwritten(tmp_path):
    path = tmp_path / "model.onnx_data"
    path.write_bytes(b"kept")
    with pytest.raises(FileExistsError):
        WeightFile(path)
    assert path.read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("element", "array", "data_type"),
    [
        ("float16", np.arange(6, dtype=np.float16).reshape(2, 3), onnx.TensorProto.FLOAT16),
        ("bfloat16", np.array([0x3F80, 0xC000], dtype=np.uint16), onnx.TensorProto.BFLOAT16),  # 1 and -2
        ("int8", np.array([-128, 127], dtype=np.int8), onnx.TensorProto.INT8),
    ],
)
def test_a_tensor_is_stored_as_what_it_is(weights, tmp_path, element, array, data_type):
    g = GraphBuilder("g", weights)
    assert g.weight("w", lambda: array, element=element) == f"w.{element}"
    assert g.weight("w", lambda: np.zeros(4, np.float32)) == "w"  # another tensor, though its name is the same
    weights.flush()
    narrow, wide = g.model().graph.initializer
    assert (narrow.name, narrow.data_type, wide.name) == (f"w.{element}", data_type, "w")
    stored = onnx.TensorProto.FromString(narrow.SerializeToString())
    onnx.external_data_helper.load_external_data_for_tensor(stored, str(tmp_path))
    assert stored.raw_data == array.tobytes()


def test_a_tensor_of_another_type_than_announced_is_refused(weights):
    with pytest.raises(ValueError, match="float32 is stored from an array of float32, not of float16"):
        weights.tensor("w", lambda: np.zeros(2, np.float16))
    with pytest.raises(ValueError, match="bfloat16 is stored from an array of uint16, not of float32"):
        weights.tensor("v", lambda: np.zeros(2, np.float32), element="bfloat16")


def test_a_node_may_have_several_outputs(weights, tmp_path):
    g = GraphBuilder("g", weights)
    g.input("input_ids", ("rows", 6))
    table = g.constant("t", np.eye(9, dtype=np.float32))
    first, second = g.op_outputs(
        "Split", [g.op("Gather", [table, "input_ids"]), g.ints(4, 5)], count=2, attributes={"axis": -1}
    )
    g.output(second, "second", ("rows", 6, 5))
    assert first != second
    assert g.operators()["Split"] == 1
    onnx.save(g.model(), tmp_path / "g.onnx")
    (found,) = open_session(tmp_path / "g.onnx").run(None, {"input_ids": np.arange(6)[None]})
    np.testing.assert_array_equal(found[0], np.eye(9, dtype=np.float32)[:6, 4:])


def test_a_tensor_goes_to_the_file_before_the_next_is_read(tmp_path):
    """Conversion holds about the largest tensor, not the model."""
    size = 8 << 20
    with WeightFile(tmp_path / "model.onnx_data") as file:
        tracemalloc.start()
        try:
            for number in range(12):
                file.tensor(f"w{number}", lambda: np.ones((size // 4, 1), np.float32).T)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 2.5 * size


def test_tensors_lie_beyond_four_gigabytes(tmp_path):
    """The file is sparse: what comes before the tensor takes no space on the disk."""
    table = np.random.default_rng(6).standard_normal((9, 4), dtype=np.float32)
    with WeightFile(tmp_path / "model.onnx_data") as file:
        file._stream.seek((1 << 32) + 5)
        g = GraphBuilder("g", file)
        g.input("input_ids", ("rows", "tokens"))
        g.output(g.op("Gather", [g.weight("table", lambda: table), "input_ids"]), "y", ("rows", "tokens", 4))
    (tensor,) = g.model().graph.initializer
    offset = int({entry.key: entry.value for entry in tensor.external_data}["offset"])
    assert offset == (1 << 32) + 4096
    onnx.save(g.model(), tmp_path / "g.onnx")
    (found,) = open_session(tmp_path / "g.onnx").run(None, {"input_ids": np.arange(9)[None]})
    np.testing.assert_array_equal(found[0], table)
