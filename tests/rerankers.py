"""The artifact of a reranker for tests: a real tokenizer, and a graph of two embedding tables and a mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stonnx.artifact import Artifact, Output, Scoring, TokenizerSpec, Variant, file_entries, write_manifest
from stonnx.testing._tokenizers import TokenizerFamily, build_tokenizer
from tests.manifests import embedding_manifest, one_graph

__all__ = ["MAX_TOKENS", "score_weights", "write_reranker"]

MAX_TOKENS = 16


def write_reranker(
    folder: Path, *, family: TokenizerFamily = "wordpiece", labels: int = 1, template: str | None = None, **changes: Any
) -> Artifact:
    """Write an artifact with the variants ``fp32``, ``portable`` and ``openvino``; keywords replace manifest fields."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tokenizer.json"
    tokenizer = build_tokenizer(family)
    tokenizer.save(str(file))
    vocab_size = tokenizer.get_vocab_size()
    inputs = {
        "fp32": ("input_ids", "token_type_ids"),
        "portable": ("input_ids", "attention_mask", "token_type_ids"),
    }
    for name in inputs:
        path = folder / f"onnx/{name}.onnx"
        _write_graph(path, vocab_size=vocab_size, labels=labels, masked=name == "portable")
    graphs = {name: one_graph(f"onnx/{name}.onnx", *taken) for name, taken in inputs.items()}
    variants = [
        Variant(name=name, engine="onnxruntime", graphs=graphs[name], files=(f"onnx/{name}.onnx",)) for name in inputs
    ]
    variants.append(replace(variants[1], name="openvino", engine="openvino"))
    fields = {
        "dimension": labels,
        "kind": "reranker",
        "outputs": tuple(Output(name=name, kind=name, dimension=labels) for name in ("scores", "logits")),
        "scoring": Scoring(
            labels=tuple(f"LABEL_{n}" for n in range(labels)), activation="Sigmoid", pair_template=template
        ),
        "tokenizer": TokenizerSpec(file=file.name, max_tokens=MAX_TOKENS, pad_id=0),
        "prompts": {"on": "on "},
        "similarity": None,
        "variants": tuple(variants),
        "files": file_entries(folder),
    }
    write_manifest(folder, embedding_manifest(**(fields | changes)))
    return Artifact.open(folder)


def score_weights(vocab_size: int, labels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the graph looks up: a row a token, float32, shape (tokens, labels), and a row a token type."""
    random = np.random.default_rng(labels)
    tokens = random.standard_normal((vocab_size, labels)).astype(np.float32)
    return 3 * tokens, random.standard_normal((2, labels)).astype(np.float32)


def _write_graph(path: Path, *, vocab_size: int, labels: int, masked: bool) -> None:
    """Logits, the mean over tokens of a row a token and one a token type, and scores, their sigmoid."""
    table, types = score_weights(vocab_size, labels)
    names = ["input_ids", *(["attention_mask"] if masked else []), "token_type_ids"]
    constants = {"table": table, "types": types, "axis1": np.array([1], np.int64), "axis2": np.array([2], np.int64)}
    op = helper.make_node
    nodes = [
        op("Gather", ["table", "input_ids"], ["words"]),
        op("Gather", ["types", "token_type_ids"], ["sides"]),
        op("Mul", ["words", "sides"], ["vectors"]),
    ]
    if masked:
        nodes += [
            op("Cast", ["attention_mask"], ["mask2"], to=TensorProto.FLOAT),
            op("Unsqueeze", ["mask2", "axis2"], ["mask"]),
            op("Mul", ["vectors", "mask"], ["kept"]),
            op("ReduceSum", ["kept", "axis1"], ["sum"], keepdims=0),
            op("ReduceSum", ["mask", "axis1"], ["count"], keepdims=0),
            op("Div", ["sum", "count"], ["logits"]),
        ]
    else:
        nodes.append(op("ReduceMean", ["vectors", "axis1"], ["logits"], keepdims=0))
    nodes.append(op("Sigmoid", ["logits"], ["scores"]))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "score",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "tokens"]) for name in names],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", labels]) for name in ("scores", "logits")],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
