from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from stonnx import _extras
from stonnx.checkpoint import SourceFolder, Weights
from stonnx.errors import CheckpointError, MissingExtraError, UnsupportedModelError

NAME = "encoder.layer.0.output.dense.weight"


@pytest.fixture
def folder(tmp_path):
    return SourceFolder(path=tmp_path, name="x", revision=None)


def save(path, tensors):
    from safetensors.numpy import save_file

    save_file(tensors, path)


def test_float32_is_memory_mapped_and_read_only(tiny, source):
    from safetensors.numpy import load_file

    folder = tiny()
    expected = load_file(folder / "model.safetensors")
    weights = Weights.open(source(folder))
    assert weights.names() == tuple(sorted(expected))
    for name, value in expected.items():
        assert weights.shape(name) == value.shape
        np.testing.assert_array_equal(weights.get(name), value)
    array = weights.get(NAME)
    assert array.dtype == np.float32
    assert not array.flags.owndata
    assert not array.flags.writeable


def test_arrays_outlive_the_weights(tiny, source):
    with Weights.open(source(tiny())) as weights:
        array = weights.get(NAME)
        total = float(array.sum())
    assert float(array.sum()) == total
    with pytest.raises(CheckpointError, match="closed"):
        weights.get(NAME)


@pytest.mark.parametrize(("dtype", "step"), [("float16", 2.0**-11), ("bfloat16", 2.0**-7)])
def test_half_precision_is_widened(tiny, source, dtype, step):
    plain = Weights.open(source(tiny()))
    exact = {name: plain.get(name).copy() for name in plain.names()}
    plain.close()
    half = Weights.open(source(tiny(dtype=dtype)))
    for name, value in exact.items():
        array = half.get(name)
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, value, rtol=step, atol=1e-7)


@pytest.mark.reference
def test_bfloat16_is_what_torch_reads(tiny, source):
    from safetensors.torch import load_file

    folder = tiny(dtype="bfloat16")
    expected = load_file(folder / "model.safetensors")[NAME].float().numpy()
    np.testing.assert_array_equal(Weights.open(source(folder)).get(NAME), expected)


def test_odd_offsets_doubles_scalars_and_empty_tensors(folder):
    tensors = {
        "a": np.arange(3, dtype=np.float16),
        "b": np.arange(4, dtype=np.float32),
        "c": np.array([[0.1]]),
        "d": np.array(7.5, np.float32),
        "e": np.zeros((0, 3), np.float32),
    }
    save(folder.path / "model.safetensors", tensors)
    weights = Weights.open(folder)
    for name, value in tensors.items():
        array = weights.get(name)
        assert array.flags.aligned
        np.testing.assert_array_equal(array, value.astype(np.float32))


def test_integers_are_listed_but_not_given_as_floats(folder):
    save(folder.path / "model.safetensors", {"position_ids": np.arange(4)})
    weights = Weights.open(folder)
    assert weights.shape("position_ids") == (4,)
    with pytest.raises(UnsupportedModelError, match="I64"):
        weights.get("position_ids")


def test_an_unknown_tensor_is_named(tiny, source):
    weights = Weights.open(source(tiny()))
    assert "nope" not in weights
    with pytest.raises(CheckpointError, match="'nope'"):
        weights.get("nope")


def test_a_folder_without_weights_says_what_was_expected(folder):
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        Weights.open(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_damaged(tiny, source, keep):
    folder = tiny()
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="damaged or incomplete"):
        Weights.open(source(folder))


def test_a_git_lfs_pointer_says_how_to_fetch_the_file(folder):
    (folder.path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n", encoding="utf-8")
    with pytest.raises(CheckpointError) as caught:
        Weights.open(folder)
    assert "git lfs pull" in (caught.value.hint or "")


def test_a_header_that_lies_about_a_shape_is_damaged(folder):
    header = json.dumps({"a": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 8]}}).encode()
    (folder.path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
    with pytest.raises(CheckpointError, match="damaged"):
        Weights.open(folder)


def write_shards(folder, weight_map):
    save(folder.path / "model-1.safetensors", {"a": np.ones(2, np.float32)})
    save(folder.path / "model-2.safetensors", {"b": np.zeros(2, np.float32)})
    (folder.path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")


def test_shards_are_one_set_of_tensors(folder):
    write_shards(folder, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    with Weights.open(folder) as weights:
        assert weights.names() == ("a", "b")
        np.testing.assert_array_equal(weights.get("a"), np.ones(2, np.float32))


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "model-3.safetensors"}, "does not exist"),
        ({"a": "../model-1.safetensors"}, "leaves the folder"),
        ({"a": "/model-1.safetensors"}, "leaves the folder"),
        ({"a": "model-2.safetensors"}, "lacks the tensor a"),
        ({}, "weight_map"),
        ({"a": 1}, "weight_map"),
    ],
)
def test_a_broken_index_is_refused(folder, weight_map, message):
    write_shards(folder, weight_map)
    with pytest.raises(CheckpointError, match=message):
        Weights.open(folder)


class TestPickled:
    pytestmark = pytest.mark.reference

    @staticmethod
    def state(torch):
        return {"half": torch.arange(4.0).half().reshape(2, 2).t(), "brain": torch.ones(2).bfloat16()}

    @pytest.mark.parametrize("zipped", [True, False])
    def test_tensors_are_widened(self, folder, zipped):
        import torch

        path = folder.path / "pytorch_model.bin"
        torch.save(self.state(torch), path, _use_new_zipfile_serialization=zipped)
        weights = Weights.open(folder)
        assert weights.shape("half") == (2, 2)
        np.testing.assert_array_equal(weights.get("half"), np.float32([[0, 2], [1, 3]]))
        np.testing.assert_array_equal(weights.get("brain"), np.ones(2, np.float32))
        weights.close()
        with pytest.raises(CheckpointError, match="closed"):
            weights.get("half")

    def test_shards(self, folder):
        import torch

        torch.save({"a": torch.ones(1)}, folder.path / "one.bin")
        index = {"weight_map": {"a": "one.bin"}}
        (folder.path / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
        assert Weights.open(folder).get("a").tolist() == [1.0]

    def test_safetensors_come_first(self, folder):
        (folder.path / "pytorch_model.bin").write_bytes(b"not opened")
        save(folder.path / "model.safetensors", {"a": np.ones(1, np.float32)})
        assert Weights.open(folder).names() == ("a",)

    @pytest.mark.parametrize("zipped", [True, False])
    def test_a_pickle_that_runs_code_is_not_opened(self, folder, tmp_path, zipped):
        import torch

        mark = tmp_path / "ran"

        class Attack:
            def __reduce__(self):
                return (open, (str(mark), "w"))

        torch.save({"a": Attack()}, folder.path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        with pytest.raises(CheckpointError, match="could run code"):
            Weights.open(folder)
        assert not mark.exists()

    @pytest.mark.parametrize("content", [b"", b"junk", pickle.dumps({"a": 1}, protocol=2)])
    def test_damaged_or_other_pickles_are_refused(self, folder, content):
        (folder.path / "pytorch_model.bin").write_bytes(content)
        with pytest.raises(CheckpointError):
            Weights.open(folder)

    def test_something_else_than_tensors_is_refused(self, folder):
        import torch

        torch.save({"a": torch.ones(1), "epoch": 3}, folder.path / "pytorch_model.bin")
        with pytest.raises(CheckpointError, match="no state dict"):
            Weights.open(folder)

    def test_integers_are_not_given_as_floats(self, folder):
        import torch

        torch.save({"a": torch.arange(3)}, folder.path / "pytorch_model.bin")
        with pytest.raises(UnsupportedModelError, match="int64"):
            Weights.open(folder).get("a")

    def test_an_old_torch_is_not_trusted(self, folder, monkeypatch):
        import torch

        torch.save({"a": torch.ones(1)}, folder.path / "pytorch_model.bin")
        monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
        with pytest.raises(MissingExtraError, match=r"2\.5\.1"):
            Weights.open(folder)


def test_pickled_weights_without_torch_name_the_extra(folder, monkeypatch):
    (folder.path / "pytorch_model.bin").touch()
    monkeypatch.setattr(_extras, "available", lambda module: False)
    with pytest.raises(MissingExtraError) as caught:
        Weights.open(folder)
    assert caught.value.hint.startswith('pip install "stonnx[reference]"')
