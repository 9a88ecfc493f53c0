"""Model folders that would hang or hog: pipes, huge files and counts, files that take quadratic time."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.checkpoint.safetensors_file import SafetensorsFile
from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph import make_blueprint
from stonnx.graph.modules import Dense, Normalize, Pooling

DENSE = Dense(path="", in_features=32, out_features=8, bias=True, activation="Tanh")
FILES = [
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "model.safetensors",
    "2_Dense/model.safetensors",
]


def _read(folder):
    """Everything that a conversion reads before it writes."""
    source = resolve_source(folder)
    spec = read_model(source)
    with Weights.open(source) as weights:
        blueprint = make_blueprint(source, spec, weights)
    for module in blueprint.chain.modules:
        if isinstance(module, Dense):
            Weights.open(source, module.path).close()
    return blueprint


@pytest.fixture
def whole(tiny):
    folder = tiny(head=(Pooling(modes=("mean",)), DENSE, Normalize()), max_tokens=20, prompts={"query": "q: "})
    assert _read(folder).dimension == 8
    return folder


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("name", FILES)
def test_a_pipe_is_refused_and_never_waited_for(whole, name):
    (whole / name).unlink(missing_ok=True)
    os.mkfifo(whole / name)
    with pytest.raises(CheckpointError, match=rf"{name} is not a regular file"):
        _read(whole)


@pytest.mark.parametrize("name", FILES)
def test_a_link_to_nothing_is_no_missing_file(whole, name):
    (whole / name).unlink(missing_ok=True)
    (whole / name).symlink_to(whole / "gone")
    with pytest.raises(CheckpointError, match=rf"{name} (is not a regular file|does not exist)"):
        _read(whole)


@pytest.mark.parametrize(
    ("name", "limit"),
    [("config.json", "8,388,608"), ("modules.json", "8,388,608"), ("tokenizer.json", "67,108,864")],
)
def test_a_huge_file_is_not_read(whole, name, limit):
    with (whole / name).open("r+b") as stream:
        stream.truncate(2**40)
    with pytest.raises(CheckpointError, match=rf"{name} is larger than {limit} bytes"):
        _read(whole)


def test_json_nested_too_deeply_for_messages_is_refused(whole):
    (whole / "config.json").write_text('{"x": ' + "[" * 150 + "]" * 150 + "}", encoding="utf-8")
    with pytest.raises(CheckpointError, match="nested more than 100 levels"):
        _read(whole)


@pytest.mark.parametrize("layers", [201, 10**9, 10**18])
def test_a_number_of_layers_is_checked_before_anything_is_listed(whole, edit, layers):
    edit(whole / "config.json", num_hidden_layers=layers)
    with pytest.raises(CheckpointError, match=f"num_hidden_layers is {layers}; expected a whole number from 1 to 200"):
        _read(whole)


@pytest.mark.parametrize(
    "key",
    ["hidden_size", "intermediate_size", "vocab_size", "max_position_embeddings", "type_vocab_size"],
)
def test_every_other_size_is_compared_with_the_weights(whole, edit, key):
    edit(whole / "config.json", **{key: 10**9})
    with pytest.raises(CheckpointError, match=r"The weights do not fit config.json|The Dense module expects"):
        _read(whole)


def test_a_long_chain_of_modules_is_refused(whole):
    chain = json.loads((whole / "modules.json").read_text(encoding="utf-8"))
    chain += [chain[-1]] * 100
    (whole / "modules.json").write_text(json.dumps(chain), encoding="utf-8")
    with pytest.raises(CheckpointError, match="lists 104 modules; expected at most 50"):
        _read(whole)


def test_a_pooling_mode_is_not_repeated_without_end(whole, edit):
    edit(whole / "1_Pooling/config.json", pooling_mode=["mean"] * 1000)
    with pytest.raises(UnsupportedModelError, match="lists 1000 modes"):
        _read(whole)


def test_a_huge_id_is_refused_before_it_is_counted_to(whole, edit):
    document = json.loads((whole / "tokenizer.json").read_text(encoding="utf-8"))
    document["model"]["vocab"]["far"] = 4_000_000_000
    edit(whole / "tokenizer.json", model=document["model"])
    with pytest.raises(CheckpointError, match="has the id 4000000000; expected none above 10000000"):
        _read(whole)


@pytest.mark.parametrize("extra", [0, 1])
def test_every_id_of_the_tokenizer_has_an_embedding(whole, edit, extra):
    rows = json.loads((whole / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    document = json.loads((whole / "tokenizer.json").read_text(encoding="utf-8"))
    document["model"]["vocab"]["last"] = rows - 1 + extra
    edit(whole / "tokenizer.json", model=document["model"])
    if not extra:
        assert _read(whole).spec.largest_id == rows - 1
        return
    with pytest.raises(CheckpointError, match=rf"has ids up to {rows}, but the model has {rows} word embeddings"):
        _read(whole)


def test_an_added_token_has_an_embedding_too(whole, edit):
    rows = json.loads((whole / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    edit(whole / "tokenizer_config.json", extra_special_tokens=[f"<{n}>" for n in range(rows)])
    with pytest.raises(CheckpointError, match=rf"has ids up to \d+, but the model has {rows} word embeddings"):
        _read(whole)


def test_the_padding_id_has_an_embedding(whole, edit):
    rows = json.loads((whole / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    document = json.loads((whole / "tokenizer.json").read_text(encoding="utf-8"))
    edit(whole / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", pad_token=None)
    (whole / "special_tokens_map.json").unlink(missing_ok=True)
    document["model"]["vocab"].pop("[PAD]")
    document |= {"added_tokens": [], "post_processor": None, "padding": None}
    (whole / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
    edit(whole / "config.json", pad_token_id=rows)
    with pytest.raises(CheckpointError, match=rf"pads with the id {rows}, but the model has {rows} word embeddings"):
        _read(whole)


def test_an_index_of_many_shards_is_refused(whole):
    (whole / "model.safetensors").rename(whole / "shard.safetensors")
    index = {"weight_map": {f"t{n}": "./" * n + "shard.safetensors" for n in range(501)}}
    (whole / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(CheckpointError, match="lists 501 files; expected at most 500"):
        Weights.open(resolve_source(whole))


def test_an_index_asks_each_shard_once_for_its_names(whole, monkeypatch):
    asked = []
    names = SafetensorsFile.names
    monkeypatch.setattr(SafetensorsFile, "names", lambda self: asked.append(self) or names(self))
    (whole / "model.safetensors").rename(whole / "shard.safetensors")
    present = SafetensorsFile(whole / "shard.safetensors").names()
    asked.clear()
    index = {"weight_map": dict.fromkeys(present, "shard.safetensors")}
    (whole / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with Weights.open(resolve_source(whole)) as weights:
        assert len(weights.names()) == len(present)
    assert len(asked) == 1


def test_a_huge_header_is_not_read(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 50_000_000) + b"{}")
    with path.open("r+b") as stream:
        stream.truncate(2**40)
    with pytest.raises(CheckpointError, match="a header of 50000000 bytes; expected at most 16777216"):
        SafetensorsFile(path)


def test_a_tensor_of_many_dimensions_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    header = json.dumps({"deep": {"dtype": "F32", "shape": [1] * 65, "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(CheckpointError, match="'deep' has 65 dimensions"):
        SafetensorsFile(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_number_that_is_not_finite_is_told_by_its_tensor(whole, dtype, value):
    broken = np.ones((4, 5), dtype)
    broken[2, 3] = value
    save_file({"fine": np.ones(3, dtype), "broken": broken}, whole / "model.safetensors")
    with Weights.open(resolve_source(whole)) as weights:
        assert weights.get("fine").tolist() == [1, 1, 1]
        with pytest.raises(CheckpointError, match=r"The tensor broken is not finite .* at 1 of 20 places"):
            weights.get("broken")


def test_a_number_beyond_float32_is_not_finite(whole):
    save_file({"big": np.array([1e300])}, whole / "model.safetensors")
    with (
        Weights.open(resolve_source(whole)) as weights,
        pytest.raises(CheckpointError, match=r"The tensor big is not finite .* at 1 of "),
    ):
        weights.get("big")


@pytest.mark.parametrize(("family", "room"), [("bert", 512), ("mpnet", 510)])
@pytest.mark.parametrize("limit", [1024, 10**30, 1e30])
def test_texts_are_cut_where_the_position_table_ends(tiny, edit, family, room, limit):
    """A config.json without the number of positions means transformers' 512; the weights must agree."""
    folder = tiny(family=family, positions=512)
    edit(folder / "config.json", max_position_embeddings=None)
    edit(folder / "tokenizer_config.json", model_max_length=limit)
    edit(folder / "sentence_bert_config.json", max_seq_length=None)
    assert _read(folder).max_tokens == room


def test_a_table_of_other_than_the_default_positions_needs_its_number(tiny, edit):
    folder = tiny(positions=64)
    edit(folder / "config.json", max_position_embeddings=None)
    with pytest.raises(CheckpointError, match=r"position_embeddings.weight has shape \(64, 32\), expected \(512, 32\)"):
        _read(folder)
