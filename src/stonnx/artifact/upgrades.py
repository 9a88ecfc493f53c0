"""What an older ``stonnx.json`` means in the next layout: one function a step.

Each takes a parsed file of its version and gives one of the next; the values inside are the decoder's to check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from stonnx.errors import ArtifactError

__all__ = ["from_1_to_2", "from_2_to_3"]

Json = dict[str, Any]


def from_1_to_2(value: Json) -> Json:
    """Variants got a precision, CPUs that they need, options and a class: in version 1 all are float32 and exact.

    Raises:
        ArtifactError: The file has one of these keys already.
    """
    added: Json = {"precision": "fp32", "instruction_sets": [], "options": {}, "fidelity_class": "exact"}
    value = _with_each(
        value, "variants", lambda variant, where: {**_without(variant, added, where, version=1), **added}
    )
    return {**value, "schema_version": 2}


def from_2_to_3(value: Json) -> Json:
    """Outputs got names and kinds, the way from text to result became a tower, and graphs a record of their own.

    In version 2 every model is an embedding of one tower, whose graphs stonnx authored for the CPU.

    Raises:
        ArtifactError: The file has a key of version 3 already, or lacks one of version 2.
    """
    moved = ("architecture", "dimension", "tokenizer", "stages", "prompts", "default_prompt_name")
    _without(value, ("kind", "outputs", "towers", "scoring"), "", version=2)
    _need(value, (*moved, "variants"), "")
    stages = value["stages"] if isinstance(value["stages"], list) else [value["stages"]]
    tower: Json = {
        "route": "",
        "body": _body(stages, value["architecture"]),
        "head": stages[1:],
        "tokenizer": _with_padding_side(value["tokenizer"]),
        "prompts": value["prompts"],
        "default_prompt_name": value["default_prompt_name"],
    }
    output = {"name": "sentence_embedding", "kind": "sentence_embedding", "dimension": value["dimension"]}
    kept = {key: item for key, item in value.items() if key not in moved}
    new: Json = {"kind": "embedding", "outputs": [output], "towers": [tower], "scoring": None}
    return {**_with_each(kept, "variants", _variant), **new, "schema_version": 3}


def _variant(variant: Json, where: str) -> Json:
    old = ("graph", "inputs", "equal_lengths")
    _without(variant, ("graphs", "device"), where, version=2)
    _need(variant, old, where)
    equal_lengths = variant["equal_lengths"]
    if not isinstance(equal_lengths, bool):
        raise ArtifactError(f"{where}.equal_lengths: expected true or false, found {equal_lengths!r:.80}.")
    graph: Json = {
        "tower": "",
        "file": variant["graph"],
        "origin": "authored",
        "inputs": variant["inputs"],
        "layout": "equal_lengths" if equal_lengths else "padded",
        "fused": None,
    }
    kept = {key: item for key, item in variant.items() if key not in old}
    return {**kept, "graphs": [graph], "device": "cpu"}


def _body(stages: list[Any], architecture: object) -> object:
    first = stages[0] if stages else {"kind": "Transformer", "options": {}}
    if not isinstance(first, dict) or not isinstance(first.get("options"), dict):
        return first
    return {**first, "options": {"family": architecture, **first["options"]}}


def _with_padding_side(tokenizer: object) -> object:
    if not isinstance(tokenizer, dict):
        return tokenizer
    return {**_without(tokenizer, ("padding_side",), "tokenizer", version=2), "padding_side": "right"}


def _with_each(value: Json, key: str, change: Callable[[Json, str], Json]) -> Json:
    """``value`` with every record of a list changed; what is no list of records is left as it is."""
    items = value.get(key)
    if not isinstance(items, list):
        return value
    changed = [change(item, f"{key}[{n}]") if isinstance(item, dict) else item for n, item in enumerate(items)]
    return {**value, key: changed}


def _without(value: Json, later: Iterable[str], where: str, *, version: int) -> Json:
    """``value`` itself, once it is known that it has none of the keys that came later."""
    for key in later:
        if key in value:
            raise ArtifactError(f"{_path(where, key)}: unknown key in a file of schema_version {version}.")
    return value


def _need(value: Json, keys: Iterable[str], where: str) -> None:
    for key in keys:
        if key not in value:
            raise ArtifactError(f"{_path(where, key)}: missing key.")


def _path(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
