"""Tensors in the type in which they are stored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stonnx.checkpoint import SourceFolder, Weights
from stonnx.errors import CheckpointError, UnsupportedModelError

VALUES = np.float32([0.5, -2.0, 3.140625, 65504.0, -6e-8, 0.0])
CODES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64"}


def bits(dtype):
    """What a file holds of VALUES in this type."""
    if dtype == "bfloat16":
        return (VALUES.view(np.uint32) >> 16).astype(np.uint16)
    return VALUES.astype(dtype)


def write(path, tensors, *, padding=0):
    """A safetensors file of (code, array) by name, with a header of any length."""
    header, blobs, end = {}, [], 0
    for name, (code, array) in tensors.items():
        blob = array.tobytes()
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [end, end + len(blob)]}
        blobs.append(blob)
        end += len(blob)
    text = json.dumps(header).encode() + b" " * padding
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


@pytest.fixture
def folder(tmp_path):
    return SourceFolder(path=tmp_path, name="model", revision=None)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("padding", range(8))
def test_a_tensor_comes_in_its_own_type_and_as_float32(folder, dtype, padding):
    stored = bits(dtype).reshape(2, 3)
    write(folder.path / "model.safetensors", {"a": (CODES[dtype], stored)}, padding=padding)
    with Weights.open(folder) as weights:
        assert weights.dtype("a") == dtype
        tensor, wide = weights.stored("a"), weights.get("a")
    assert (tensor.dtype, tensor.values.dtype, tensor.values.shape) == (dtype, stored.dtype, (2, 3))
    assert tensor.values.flags.aligned
    np.testing.assert_array_equal(tensor.values, stored)
    expected = (stored.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else stored.astype(np.float32)
    np.testing.assert_array_equal(wide, expected)
    assert wide.dtype == np.float32


@pytest.mark.parametrize("dtype", CODES)
def test_what_is_stored_is_a_view_of_the_file(folder, dtype):
    tensors = {"a": (CODES[dtype], bits(dtype))}
    write(folder.path / "model.safetensors", tensors)
    length = int.from_bytes((folder.path / "model.safetensors").read_bytes()[:8], "little")
    write(folder.path / "model.safetensors", tensors, padding=-length % 8)  # what is not aligned has to be copied
    with Weights.open(folder) as weights:
        values = weights.stored("a").values
        assert not values.flags.owndata
        assert not values.flags.writeable
    np.testing.assert_array_equal(values, bits(dtype))  # still valid after close


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_in_every_type(folder, dtype, bad):
    broken = np.full(3, bad, np.float32)
    stored = (broken.view(np.uint32) >> 16).astype(np.uint16) if dtype == "bfloat16" else broken.astype(dtype)
    tensors = {"fine": (CODES[dtype], bits(dtype)), "broken": (CODES[dtype], np.concatenate([bits(dtype), stored]))}
    write(folder.path / "model.safetensors", tensors)
    with Weights.open(folder) as weights:
        weights.stored("fine")
        for read in (weights.stored, weights.get, weights.stored):
            with pytest.raises(CheckpointError, match=r"broken is not finite .* at 3 of 9 places"):
                read("broken")


def test_a_double_beyond_float32_is_fine_as_it_is_stored_only(folder):
    write(folder.path / "model.safetensors", {"big": ("F64", np.array([1.0, 1e300]))})
    with Weights.open(folder) as weights:
        for _ in range(2):
            assert weights.stored("big").values[1] == 1e300
            with pytest.raises(CheckpointError, match="at 1 of 2 places"):
                weights.get("big")


def test_other_types_have_the_name_that_the_file_gives_them(folder):
    write(folder.path / "model.safetensors", {"ids": ("I64", np.arange(3))})
    with Weights.open(folder) as weights:
        assert weights.dtype("ids") == "I64"
        with pytest.raises(UnsupportedModelError, match="I64") as caught:
            weights.stored("ids")
        assert caught.value.hint
        with pytest.raises(CheckpointError, match="'nope'"):
            weights.dtype("nope")


def test_a_count_over_several_chunks_names_every_place(folder, monkeypatch):
    from stonnx.checkpoint import stored

    monkeypatch.setattr(stored, "_CHUNK", 4)
    values = np.zeros(10, np.float32)
    values[[0, 4, 9]] = np.nan
    write(folder.path / "model.safetensors", {"a": ("F32", values)})
    with Weights.open(folder) as weights, pytest.raises(CheckpointError, match="at 3 of 10 places"):
        weights.get("a")


@pytest.mark.reference
@pytest.mark.parametrize("dtype", CODES)
def test_pickled_tensors_come_in_their_own_type_too(folder, dtype):
    import torch

    tensor = torch.tensor(VALUES.tolist()).to(getattr(torch, dtype)).reshape(2, 3).t()
    torch.save({"a": tensor, "ids": torch.arange(2)}, folder.path / "pytorch_model.bin")
    with Weights.open(folder) as weights:
        found = weights.stored("a")
        assert (weights.dtype("a"), weights.dtype("ids"), found.dtype) == (dtype, "int64", dtype)
        whole = tensor.contiguous()
        expected = (whole.view(torch.int16) if dtype == "bfloat16" else whole).numpy()
        np.testing.assert_array_equal(found.values, expected.view(np.uint16) if dtype == "bfloat16" else expected)
        np.testing.assert_array_equal(weights.get("a"), tensor.float().numpy())
