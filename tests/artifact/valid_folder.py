"""The tiny artifact of ``valid/``: an embedding table and a mean, written without a model.

    python -m tests.artifact.valid_folder

It is committed because its bytes are the format: ``test_folders.py`` compares them with what is written today.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from stonnx.artifact import (
    Fidelity,
    Goldens,
    Manifest,
    Source,
    Stage,
    TokenizerSpec,
    Variant,
    file_entries,
    write_goldens,
    write_manifest,
)
from tests.manifests import embedding_manifest, one_graph

DIMENSION = 8
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello", "world", "today", "is", "friday", "."]
TEXTS = ("hello world", "today is friday.", "", "unknown")
DATA = "model.onnx_data"


def write_valid(folder: Path) -> Manifest:
    """A whole artifact: an embedding table and a mean, in two graphs that share their weights."""
    (folder / "onnx").mkdir(parents=True)
    table = np.random.default_rng(7).standard_normal((len(WORDS), DIMENSION)).astype(np.float32)
    (folder / "onnx" / DATA).write_bytes(table.tobytes())
    write_graph(folder / "onnx/model.onnx", portable=True)
    write_graph(folder / "onnx/model_optimized.onnx", portable=False)
    write_plain(folder / "tokenizer.json", tokenizer())
    write_plain(folder / "config.json", {"model_type": "bert", "architectures": ["BertModel"]})
    write_plain(folder / "modules.json", modules())
    vectors = np.stack([table[token_ids(text)].mean(axis=0) for text in TEXTS])
    reference = {"sentence-transformers": "6.2.0", "torch": "2.13.0", "dtype": "float32"}
    write_goldens(folder, Goldens(TEXTS, vectors, reference))
    manifest = describe(folder)
    write_manifest(folder, manifest)
    return manifest


def describe(folder: Path) -> Manifest:
    fidelity = Fidelity(texts=4, cosine_mean=1.0, cosine_min=0.99999994, max_abs_diff=1.2e-07, top10_overlap=1.0)
    shared = f"onnx/{DATA}"
    masked = ("input_ids", "attention_mask", "token_type_ids")
    return embedding_manifest(
        source=Source(name="org/tiny", revision="0123456789abcdef0123456789abcdef01234567"),
        dimension=DIMENSION,
        tokenizer=TokenizerSpec(file="tokenizer.json", max_tokens=16, pad_id=0),
        stages=(Stage(kind="Transformer"), Stage(kind="Pooling", options={"pooling_mode": ["mean"]})),
        prompts={"query": "query: "},
        variants=(
            Variant(
                name="fp32",
                engine="onnxruntime",
                graphs=one_graph("onnx/model_optimized.onnx", "input_ids"),
                files=("onnx/model_optimized.onnx", shared),
                fidelity=fidelity,
            ),
            Variant(
                name="portable",
                engine="onnxruntime",
                graphs=one_graph("onnx/model.onnx", *masked),
                files=("onnx/model.onnx", shared),
                fidelity=fidelity,
            ),
        ),
        verified=True,
        files=file_entries(folder),
    )


def write_graph(
    path: Path, *, portable: bool, location: str = DATA, dimension: int | None = DIMENSION, length: int | None = None
) -> None:
    """Gather rows of an external table and average them, with or without a mask."""
    table = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=[len(WORDS), DIMENSION])
    table.data_location = TensorProto.EXTERNAL
    size = len(WORDS) * DIMENSION * 4 if length is None else length
    for key, value in (("location", location), ("offset", "0"), ("length", str(size))):
        table.external_data.add(key=key, value=value)
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    last = helper.make_tensor("last", TensorProto.INT64, [1], [-1])
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["rows", "tokens"])
    sentence = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["rows", dimension])
    if not portable:
        nodes = [
            helper.make_node("Gather", ["table", "input_ids"], ["tokens"]),
            helper.make_node("ReduceMean", ["tokens", "axis"], ["sentence_embedding"], keepdims=0),
        ]
        graph = helper.make_graph(nodes, "optimized", [ids], [sentence], [table, axis])
    else:
        mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["rows", "tokens"])
        kinds = helper.make_tensor_value_info("token_type_ids", TensorProto.INT64, ["rows", "tokens"])
        hidden = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["rows", "tokens", DIMENSION])
        nodes = [
            helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"]),
            helper.make_node("Cast", ["attention_mask"], ["flat_mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["flat_mask", "last"], ["mask"]),
            helper.make_node("Mul", ["last_hidden_state", "mask"], ["masked"]),
            helper.make_node("ReduceSum", ["masked", "axis"], ["total"], keepdims=0),
            helper.make_node("ReduceSum", ["mask", "axis"], ["count"], keepdims=0),
            helper.make_node("Div", ["total", "count"], ["sentence_embedding"]),
        ]
        graph = helper.make_graph(nodes, "portable", [ids, mask, kinds], [hidden, sentence], [table, axis, last])
    model = helper.make_model(
        graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)], producer_name="stonnx-tests"
    )
    path.write_bytes(model.SerializeToString(deterministic=True))


def tokenizer() -> dict[str, Any]:
    ends = [{"SpecialToken": {"id": name, "type_id": 0}} for name in ("[CLS]", "[SEP]")]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [ends[0], {"Sequence": {"id": "A", "type_id": 0}}, ends[1]],
            "pair": [
                ends[0],
                {"Sequence": {"id": "A", "type_id": 0}},
                ends[1],
                {"Sequence": {"id": "B", "type_id": 0}},
            ],
            "special_tokens": {
                name: {"id": name, "ids": [WORDS.index(name)], "tokens": [name]} for name in ("[CLS]", "[SEP]")
            },
        },
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(WORDS)}, "unk_token": "[UNK]"},
    }


def modules() -> list[dict[str, Any]]:
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"))
    return [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(kinds)
    ]


def token_ids(text: str) -> list[int]:
    words = text.replace(".", " .").split()
    return [WORDS.index(word) if word in WORDS else 1 for word in ("[CLS]", *words, "[SEP]")]


def write_plain(path: Path, value: object) -> None:
    path.write_bytes((json.dumps(value, indent=1) + "\n").encode("ascii"))


if __name__ == "__main__":
    target = Path(__file__).parent / "valid"
    shutil.rmtree(target)
    write_valid(target)
