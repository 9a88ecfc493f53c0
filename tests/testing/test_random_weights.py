from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from stonnx.errors import UnsupportedModelError, UsageError
from stonnx.testing import make_random_model

CONFIG = {
    "model_type": "bert",
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 11,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
}


@pytest.fixture
def small_files(tmp_path):
    folder = tmp_path / "small"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "1_Pooling" / "config.json").write_text("{}")
    return folder


def test_small_files_come_along_and_shapes_follow_the_config(small_files, tmp_path):
    out = make_random_model(small_files, tmp_path / "out")
    assert json.loads((out / "config.json").read_text()) == CONFIG
    assert (out / "1_Pooling" / "config.json").read_text() == "{}"
    tensors = load_file(out / "model.safetensors")
    assert tensors["embeddings.word_embeddings.weight"].shape == (11, 8)
    assert tensors["encoder.layer.1.intermediate.dense.weight"].shape == (16, 8)
    assert tensors["encoder.layer.1.output.dense.weight"].shape == (8, 16)
    assert len(tensors) == 5 + 2 * 16 + 2
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}
    assert abs(tensors["embeddings.LayerNorm.weight"] - 1).max() < 0.2
    assert abs(tensors["encoder.layer.0.output.dense.bias"]).max() > 0


def test_the_seed_decides(small_files, tmp_path):
    first, same, other = (
        (make_random_model(small_files, tmp_path / name, seed) / "model.safetensors").read_bytes()
        for name, seed in (("first", 7), ("same", 7), ("other", 8))
    )
    assert first == same
    assert first != other


@pytest.mark.reference
def test_transformers_finds_every_weight(small_files, tmp_path):
    import torch
    from transformers import BertModel

    out = make_random_model(small_files, tmp_path / "out")
    model, info = BertModel.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    weight = load_file(out / "model.safetensors")["encoder.layer.1.attention.self.value.weight"]
    assert torch.equal(model.encoder.layer[1].attention.self.value.weight, torch.from_numpy(weight))


def test_errors(small_files, tmp_path):
    with pytest.raises(UsageError, match=r"no config\.json"):
        make_random_model(tmp_path / "absent", tmp_path / "out")
    with pytest.raises(UsageError, match="exists already"):
        make_random_model(small_files, small_files)
    (small_files / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(UnsupportedModelError, match="gpt2"):
        make_random_model(small_files, tmp_path / "out")
