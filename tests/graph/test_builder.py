"""The graph builder and the weight file."""

from __future__ import annotations

import numpy as np
import pytest

from stonnx.graph.builder import GraphBuilder, WeightFile


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
