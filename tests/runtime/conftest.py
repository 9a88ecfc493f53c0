"""Small real artifacts: a tokenizer of each family, and graphs of one embedding table and a mean."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stonnx.artifact import Artifact, TokenizerSpec, Variant, file_entries, write_manifest
from stonnx.runtime import Encoder
from stonnx.runtime.pipeline import Pipeline
from stonnx.runtime.streams import RunSettings
from stonnx.runtime.tokenize import TextTokenizer
from stonnx.testing import FakeEngine
from stonnx.testing._tokenizers import build_tokenizer
from tests.manifests import embedding_manifest, one_graph
from tests.rerankers import write_reranker

DIMENSION = 8
MAX_TOKENS = 16
FAMILIES = ("wordpiece", "bpe", "unigram")


def write_graph(path: Path, *, kind: str, vocab_size: int) -> None:
    """Mean of table rows: ``free`` takes no mask, ``masked`` takes one.

    ``prompted`` skips the prompt, and so does ``each_prompted``, with a length of its own for each row.
    """
    table = np.random.default_rng(3).standard_normal((vocab_size, DIMENSION)).astype(np.float32)
    constants = {"table": table, "axis1": np.array([1], np.int64), "end": np.array([2**31], np.int64)}
    rows = ["rows", "tokens"]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, rows)]
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["vectors"])]
    if kind == "masked":
        inputs += [
            helper.make_tensor_value_info(n, TensorProto.INT64, rows) for n in ("attention_mask", "token_type_ids")
        ]
        nodes += [
            # The second row of the table would show token types that are not zero.
            helper.make_node("Gather", ["table", "token_type_ids"], ["types"]),
            helper.make_node("Cast", ["attention_mask"], ["mask2"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask2", "axis2"], ["mask"]),
            helper.make_node("Mul", ["vectors", "mask"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "axis1"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["mask", "axis1"], ["count"], keepdims=0),
            helper.make_node("Div", ["sum", "count"], ["mean"]),
            helper.make_node("ReduceMax", ["types", "axis1"], ["type"], keepdims=0),
            helper.make_node("Gather", ["table", "zero"], ["type0"]),
            helper.make_node("Sub", ["type", "type0"], ["nothing"]),
            helper.make_node("Add", ["mean", "nothing"], ["sentence_embedding"]),
        ]
        constants |= {"axis2": np.array([2], np.int64), "zero": np.array([0], np.int64)}
    elif kind == "prompted":
        inputs.append(helper.make_tensor_value_info("prompt_length", TensorProto.INT64, []))
        nodes += [
            helper.make_node("Unsqueeze", ["prompt_length", "axis0"], ["start"]),
            helper.make_node("Slice", ["vectors", "start", "end", "axis1"], ["text"]),
            helper.make_node("ReduceMean", ["text", "axis1"], ["sentence_embedding"], keepdims=0),
        ]
        constants |= {"axis0": np.array([0], np.int64), "prompt_length": np.array(0, np.int64)}
    elif kind == "each_prompted":
        inputs.append(helper.make_tensor_value_info("prompt_lengths", TensorProto.INT64, ["prompts"]))
        nodes += [
            helper.make_node("Shape", ["input_ids"], ["width1"], start=1, end=2),
            helper.make_node("Squeeze", ["width1", "axis0"], ["width"]),
            helper.make_node("Range", ["zero", "width", "one"], ["places"]),
            helper.make_node("Unsqueeze", ["prompt_lengths", "axis1"], ["starts"]),
            helper.make_node("GreaterOrEqual", ["places", "starts"], ["is_text"]),  # (prompts, tokens)
            helper.make_node("Cast", ["is_text"], ["text2"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["text2", "axis2"], ["text"]),
            helper.make_node("Mul", ["vectors", "text"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "axis1"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["text", "axis1"], ["count"], keepdims=0),
            helper.make_node("Div", ["sum", "count"], ["sentence_embedding"]),
        ]
        constants |= {"axis0": np.array([0], np.int64), "axis2": np.array([2], np.int64)}
        constants |= {"zero": np.array(0, np.int64), "one": np.array(1, np.int64)}
        constants |= {"prompt_lengths": np.array([0], np.int64)}
    else:
        nodes.append(helper.make_node("ReduceMean", ["vectors", "axis1"], ["sentence_embedding"], keepdims=0))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        kind,
        inputs,
        [helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["rows", DIMENSION])],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


VARIANTS = {
    "fp32": Variant(
        name="fp32",
        engine="onnxruntime",
        graphs=one_graph("onnx/free.onnx", "input_ids"),
        files=("onnx/free.onnx",),
    ),
    "portable": Variant(
        name="portable",
        engine="onnxruntime",
        graphs=one_graph("onnx/masked.onnx", "input_ids", "attention_mask", "token_type_ids"),
        files=("onnx/masked.onnx",),
    ),
    "prompted": Variant(
        name="prompted",
        engine="onnxruntime",
        graphs=one_graph("onnx/prompted.onnx", "input_ids", "prompt_length"),
        files=("onnx/prompted.onnx",),
    ),
    "each_prompted": Variant(
        name="each_prompted",
        engine="onnxruntime",
        graphs=one_graph("onnx/each_prompted.onnx", "input_ids", "prompt_lengths"),
        files=("onnx/each_prompted.onnx",),
    ),
}


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Callable[..., Path]:
    """Write the ``tokenizer.json`` of a family, with a truncation and a padding that must be ignored."""

    def write(family: str = "wordpiece", folder: Path = tmp_path) -> Path:
        tokenizer = build_tokenizer(family)  # type: ignore[arg-type]
        tokenizer.enable_truncation(max_length=5)
        tokenizer.enable_padding(length=40)
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"))
        return folder / "tokenizer.json"

    return write


@pytest.fixture
def make_artifact(tmp_path: Path, tokenizer_file: Callable[..., Path]) -> Callable[..., Artifact]:
    """Write an artifact; keywords replace fields of the manifest."""

    def make(*, family: str = "wordpiece", **changes: object) -> Artifact:
        folder = tmp_path / "artifact"
        file = tokenizer_file(family, folder)
        vocab_size = build_tokenizer(family).get_vocab_size()  # type: ignore[arg-type]
        for kind in ("free", "masked", "prompted", "each_prompted"):
            write_graph(folder / f"onnx/{kind}.onnx", kind=kind, vocab_size=vocab_size)
        fields: dict[str, object] = {
            "dimension": DIMENSION,
            "tokenizer": TokenizerSpec(file=file.name, max_tokens=MAX_TOKENS, pad_id=0),
            "prompts": {"query": "on ", "passage": ""},
            "default_prompt_name": None,
            "variants": tuple(VARIANTS.values()),
            "files": file_entries(folder),
        }
        write_manifest(folder, embedding_manifest(**(fields | changes)))  # type: ignore[arg-type]
        return Artifact.open(folder)

    return make


@pytest.fixture
def fake_encoder(make_artifact: Callable[..., Artifact]) -> Callable[..., tuple[Encoder, FakeEngine]]:
    """An encoder on a fake engine, and the engine; ``variant`` says which inputs it pretends to take."""

    def make(
        variant: str = "fp32", error: Exception | None = None, streams: int = 1, **changes: object
    ) -> tuple[Encoder, FakeEngine]:
        artifact = make_artifact(**changes)
        engine = FakeEngine(DIMENSION, error=error)
        spec = artifact.manifest.tower.tokenizer
        tokenizer = TextTokenizer(artifact.file(spec.file), max_tokens=spec.max_tokens)
        pipeline = Pipeline(
            artifact,
            variant=artifact.variant(variant),
            engine=engine,
            tokenizer=tokenizer,
            settings=RunSettings(threads=streams, streams=streams),
        )
        return Encoder(pipeline), engine

    return make


@pytest.fixture
def make_reranker(tmp_path: Path) -> Callable[..., Artifact]:
    """Write the artifact of a reranker; see ``write_reranker``."""
    return partial(write_reranker, tmp_path / "reranker")


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)
