"""Ways to break an artifact: each damages the copy of the valid one and says what the error must contain."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stonnx.artifact import Goldens, manifest_to_json, write_goldens
from tests.artifact.valid_folder import DATA, TEXTS, describe, write_graph, write_plain

__all__ = ["BREAKS"]


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the parsed ``stonnx.json`` in place, whatever becomes of it."""
    path = folder / "stonnx.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    write_plain(path, value)


def list_again(folder: Path, **changes: Any) -> None:
    """A manifest whose sizes and hashes are right, as an attacker would write it."""
    write_plain(folder / "stonnx.json", manifest_to_json(replace(describe(folder), **changes)))


def missing_file(folder: Path) -> list[str]:
    (folder / "tokenizer.json").unlink()
    return ["tokenizer.json is missing", "convert the model again"]


def wrong_size(folder: Path) -> list[str]:
    path = folder / "onnx" / DATA
    path.write_bytes(path.read_bytes()[:100])
    return [f"{DATA} has 100 bytes, but stonnx.json says 320"]


def bad_hash(folder: Path) -> list[str]:
    path = folder / "onnx" / DATA
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    return [f"{DATA} was changed", "SHA-256"]


def bad_golden_hash(folder: Path) -> list[str]:
    path = folder / "golden.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    return ["golden.safetensors was changed", "SHA-256"]


def newer_schema(folder: Path) -> list[str]:
    edit(folder, lambda value: value.update(schema_version=4, novelty={"from": "the future"}))
    return ["written by a newer stonnx", "schema_version is 4", "pip install -U stonnx"]


def unknown_key(folder: Path) -> list[str]:
    edit(folder, lambda value: value["towers"][0]["tokenizer"].update(lowercase=True))
    return ["stonnx.json: towers[0].tokenizer.lowercase: unknown key", "max_tokens"]


def missing_key(folder: Path) -> list[str]:
    edit(folder, lambda value: value["variants"][1].pop("engine"))
    return ["stonnx.json: variants[1].engine: missing key"]


def wrong_type(folder: Path) -> list[str]:
    edit(folder, lambda value: value["outputs"][0].update(dimension="8"))
    return ["stonnx.json: outputs[0].dimension: expected an integer, found '8'"]


def path_escape(folder: Path) -> list[str]:
    edit(folder, lambda value: value["towers"][0]["tokenizer"].update(file="../../expected.txt"))
    edit(folder, lambda value: value["files"][0].update(path="../../expected.txt"))
    return ["stonnx.json: files[0].path: expected a relative POSIX path inside the artifact", "../../expected.txt"]


def absolute_path(folder: Path) -> list[str]:
    edit(folder, lambda value: value["variants"][0]["graphs"][0].update(file="/etc/model.onnx"))
    return ["stonnx.json: variants[0].graphs[0].file: expected a relative POSIX path", "/etc/model.onnx"]


def unlisted_file(folder: Path) -> list[str]:
    edit(folder, lambda value: value["variants"][0]["files"].append("onnx/more"))
    return ["variants[0].files[2]: 'onnx/more' is not listed in the files of the artifact"]


def wrong_dimension(folder: Path) -> list[str]:
    edit(folder, lambda value: value["outputs"][0].update(dimension=16))
    return ["sentence_embedding has 8 components, but the dimension in the manifest is 16"]


def wrong_dimension_goldens(folder: Path) -> list[str]:
    write_goldens(folder, Goldens(TEXTS, np.ones((len(TEXTS), 16), np.float32), {}))
    list_again(folder)
    return ["golden.safetensors: the vectors have 16 components, but the dimension in stonnx.json is 8"]


def golden_count(folder: Path) -> list[str]:
    write_plain(folder / "golden.json", {"reference": {}, "texts": list(TEXTS[:3])})
    list_again(folder)
    return ["goldens", "there are 3 texts and 4 vectors"]


def truncated_onnx(folder: Path) -> list[str]:
    path = folder / "onnx/model_optimized.onnx"
    path.write_bytes(path.read_bytes()[:150])
    list_again(folder)
    return ["model_optimized.onnx: truncated or damaged ONNX", "convert the model again"]


def empty_onnx(folder: Path) -> list[str]:
    (folder / "onnx/model.onnx").write_bytes(b"")
    list_again(folder)
    return ["model.onnx: truncated or damaged ONNX"]


def external_data_escape(folder: Path) -> list[str]:
    write_graph(folder / "onnx/model_optimized.onnx", portable=False, location="../../expected.txt")
    list_again(folder)
    return ["model_optimized.onnx: external data: expected a relative POSIX path", "../../expected.txt"]


def external_data_unlisted(folder: Path) -> list[str]:
    write_graph(folder / "onnx/model.onnx", portable=True, location="other.bin")
    list_again(folder)
    return ["external data: 'onnx/other.bin' is not among the files of variant 'portable'"]


def external_data_too_long(folder: Path) -> list[str]:
    write_graph(folder / "onnx/model.onnx", portable=True, length=4096)
    list_again(folder)
    return ["external data: byte 4096 of onnx/model.onnx_data is needed, it has 320"]


def wrong_inputs(folder: Path) -> list[str]:
    edit(folder, lambda value: value["variants"][1]["graphs"][0].update(inputs=["input_ids", "attention_mask"]))
    return ["the graph takes attention_mask, input_ids, token_type_ids", "feeds input_ids, attention_mask"]


def not_json(folder: Path) -> list[str]:
    path = folder / "stonnx.json"
    path.write_bytes(path.read_bytes()[:200])
    return ["stonnx.json cannot be read as JSON"]


def not_a_number(folder: Path) -> list[str]:
    edit(folder, lambda value: value["variants"][0]["fidelity"].update(cosine_min=float("nan")))
    return ["stonnx.json cannot be read as JSON", "NaN is not a JSON number"]


def duplicate_key(folder: Path) -> list[str]:
    path = folder / "stonnx.json"
    path.write_bytes(path.read_bytes().replace(b'"dimension"', b'"dimension": 4,\n  "dimension"', 1))
    return ["the key 'dimension' is given twice"]


def duplicate_variant(folder: Path) -> list[str]:
    edit(folder, lambda value: value["variants"][1].update(name="fp32"))
    return ["stonnx.json: variants: the name 'fp32' is given twice"]


def unknown_instruction_set(folder: Path) -> list[str]:
    edit(folder, lambda value: value["variants"][1].update(instruction_sets=["avx2", "mmx"]))
    return ["stonnx.json: variants[1].instruction_sets[1]: expected one of avx2, avx512_vnni", "found 'mmx'"]


def unknown_class(folder: Path) -> list[str]:
    edit(folder, lambda value: value["variants"][1].update(fidelity_class="perfect"))
    return ["stonnx.json: variants[1].fidelity_class: expected one of 'exact', 'lossless', 'high', 'balanced'"]


def below_its_class(folder: Path) -> list[str]:
    edit(folder, lambda value: value["variants"][1].update(precision="int8", fidelity_class="high"))
    edit(folder, lambda value: value["variants"][1]["fidelity"].update(top10_overlap=0.9))
    return ["stonnx.json: variants[1].fidelity: verified is true, but the figures are not high", "overlap 0.90000"]


def old_file_with_new_keys(folder: Path) -> list[str]:
    edit(folder, lambda value: value.update(schema_version=2))
    return ["stonnx.json: kind: unknown key in a file of schema_version 2"]


def no_such_output(folder: Path) -> list[str]:
    edit(folder, lambda value: value["outputs"].append({"name": "logits", "kind": "logits", "dimension": 8}))
    return ["model_optimized.onnx: the graph has no output logits"]


def graph_of_another_tower(folder: Path) -> list[str]:
    edit(folder, lambda value: value["variants"][1]["graphs"][0].update(tower="query"))
    return ["stonnx.json: variants[1].graphs: expected one graph for each tower (['']), found ['query']"]


def reranker_without_labels(folder: Path) -> list[str]:
    edit(folder, lambda value: value.update(kind="reranker"))
    edit(folder, lambda value: value["outputs"][0].update(kind="scores"))
    return ["stonnx.json: scoring: expected an object, because kind is 'reranker'"]


def no_manifest(folder: Path) -> list[str]:
    (folder / "stonnx.json").unlink()
    return ["is a model folder, not a stonnx artifact", "stonnx convert"]


BREAKS: tuple[Callable[[Path], list[str]], ...] = (
    missing_file,
    wrong_size,
    bad_hash,
    bad_golden_hash,
    newer_schema,
    unknown_key,
    missing_key,
    wrong_type,
    path_escape,
    absolute_path,
    unlisted_file,
    wrong_dimension,
    wrong_dimension_goldens,
    golden_count,
    truncated_onnx,
    empty_onnx,
    external_data_escape,
    external_data_unlisted,
    external_data_too_long,
    wrong_inputs,
    not_json,
    not_a_number,
    duplicate_key,
    duplicate_variant,
    unknown_instruction_set,
    unknown_class,
    below_its_class,
    old_file_with_new_keys,
    no_such_output,
    graph_of_another_tower,
    reranker_without_labels,
    no_manifest,
)
"""Each takes the folder of a valid artifact and returns fragments of the error, at least one."""
