"""``docs/artifact.schema.json`` and ``docs/artifact.md`` say what the code does."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from pathlib import Path
from typing import get_args

import pytest

from stonnx.artifact import manifest as layout
from stonnx.artifact import manifest_from_json, manifest_to_json
from stonnx.artifact.conditions import PATH_PATTERN
from stonnx.artifact.fidelity_class import BOUNDS, CLASSES
from stonnx.artifact.rules import ACTIVATION_PATTERN, OUTPUT_PATTERN, SHA256_PATTERN
from stonnx.artifact.variant_rules import INPUTS, OPTION_NAME_PATTERN, OPTION_VALUE_PATTERN, VARIANT_PATTERN
from stonnx.errors import ArtifactError
from stonnx.machine import INSTRUCTION_SETS

jsonschema = pytest.importorskip("jsonschema")
DOCS = Path(__file__).parents[2] / "docs"
RECORDS = {
    cls.__name__: cls for cls in vars(layout).values() if dataclasses.is_dataclass(cls) and isinstance(cls, type)
}


@pytest.fixture(scope="module")
def schema():
    return json.loads((DOCS / "artifact.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def validator(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_a_manifest_is_valid(validator, manifest):
    validator.validate(manifest_to_json(manifest))


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_keys_are_the_fields(schema, name):
    record = schema["$defs"][name]
    fields = {field.name for field in dataclasses.fields(RECORDS[name])}
    assert set(record["properties"]) == set(record["required"]) == fields
    assert record["additionalProperties"] is False


def test_patterns_are_those_of_the_code(schema):
    defs = schema["$defs"]
    assert defs["path"]["pattern"] == PATH_PATTERN
    assert defs["FileEntry"]["properties"]["sha256"]["pattern"] == SHA256_PATTERN
    assert defs["Variant"]["properties"]["name"]["pattern"] == VARIANT_PATTERN
    variant = defs["Variant"]["properties"]
    assert variant["options"]["propertyNames"]["pattern"] == OPTION_NAME_PATTERN
    assert variant["options"]["additionalProperties"]["pattern"] == OPTION_VALUE_PATTERN
    assert tuple(variant["instruction_sets"]["items"]["enum"]) == INSTRUCTION_SETS
    assert tuple(variant["precision"]["enum"]) == get_args(layout.Precision)
    assert tuple(variant["fidelity_class"]["enum"]) == get_args(layout.FidelityClass) == CLASSES
    assert tuple(variant["device"]["enum"]) == get_args(layout.Device)
    graph = defs["Graph"]["properties"]
    assert tuple(graph["inputs"]["items"]["enum"]) == INPUTS
    assert tuple(graph["layout"]["enum"]) == get_args(layout.Layout)
    assert tuple(graph["origin"]["enum"]) == get_args(layout.Origin)
    output = defs["Output"]["properties"]
    assert output["name"]["pattern"] == OUTPUT_PATTERN
    assert tuple(output["kind"]["enum"]) == get_args(layout.OutputKind)
    assert defs["Scoring"]["properties"]["activation"]["pattern"] == ACTIVATION_PATTERN
    assert tuple(defs["TokenizerSpec"]["properties"]["padding_side"]["enum"]) == get_args(layout.PaddingSide)
    assert tuple(defs["Manifest"]["properties"]["kind"]["enum"]) == get_args(layout.Kind)
    assert defs["Manifest"]["properties"]["schema_version"]["const"] == layout.SCHEMA_VERSION


BROKEN = [
    (("surplus",), 1),
    (("towers", 0, "tokenizer", "surplus"), 1),
    (("schema_version",), 1),
    (("schema_version",), 2),
    (("schema_version",), 4),
    (("variants", 0, "precision"), "int8"),
    (("variants", 0, "precision"), "fp16"),
    (("variants", 0, "precision"), "fp64"),
    (("variants", 0, "device"), "tpu"),
    (("variants", 0, "instruction_sets"), ["mmx"]),
    (("variants", 0, "instruction_sets"), ["avx2", "avx2"]),
    (("variants", 0, "options"), {"CACHE_DIR": "a/b"}),
    (("variants", 0, "options"), {"CACHE DIR": "a"}),
    (("variants", 0, "options"), {"A": 1}),
    (("variants", 0, "fidelity_class"), None),
    (("files", 0, "path"), ".stonnx-tune/a.json"),
    (("outputs", 0, "dimension"), 0),
    (("outputs", 0, "dimension"), True),
    (("outputs", 0, "dimension"), "8"),
    (("truncate_dim",), 0),
    (("verified",), None),
    (("similarity",), "cos"),
    (("variants",), []),
    (("variants", 0, "name"), ""),
    (("variants", 0, "graphs", 0, "file"), "model.ort"),
    (("variants", 0, "graphs"), []),
    (("variants", 0, "graphs", 0, "fused"), {"BiasGelu": 0}),
    (("variants", 0, "graphs", 0, "origin"), "found"),
    (("variants", 0, "files"), []),
    (("variants", 0, "graphs", 0, "inputs"), ["attention_mask"]),
    (("variants", 0, "graphs", 0, "layout"), "padded"),
    (("variants", 1, "graphs", 0, "layout"), "packed"),
    (("variants", 0, "fidelity", "cosine_min"), -2),
    (("files", 0, "path"), "../secret"),
    (("files", 0, "path"), "/etc/passwd"),
    (("files", 0, "path"), "a\\b"),
    (("files", 0, "path"), "stonnx.json"),
    (("files", 0, "sha256"), "0"),
    (("files", 0, "size_bytes"), -1),
    (("towers", 0, "prompts", "query"), None),
    (("towers", 0, "head", 0, "options"), []),
    (("kind",), "generator"),
    (("kind",), "reranker"),
    (("outputs",), []),
    (("towers",), []),
    (("towers", 0, "tokenizer", "padding_side"), None),
    (("scoring",), {"labels": ["a"], "activation": "Sigmoid", "pair_template": None}),
]


@pytest.mark.parametrize(("at", "value"), BROKEN, ids=lambda part: repr(part)[:40])
def test_schema_and_code_refuse_the_same(validator, manifest, at, value):
    document = copy.deepcopy(manifest_to_json(manifest))
    target = document
    for key in at[:-1]:
        target = target[key]
    target[at[-1]] = value
    assert not validator.is_valid(document)
    with pytest.raises(ArtifactError):
        manifest_from_json(document)


def test_the_page_explains_every_key():
    page = (DOCS / "artifact.md").read_text(encoding="utf-8")
    for cls in RECORDS.values():
        for field in dataclasses.fields(cls):
            assert re.search(rf"[`.]{field.name}[`.\[]", page), f"{cls.__name__}.{field.name}"


def test_the_page_says_the_bounds():
    page = (DOCS / "artifact.md").read_text(encoding="utf-8")
    for name, bounds in BOUNDS.items():
        cells = re.search(rf"^\| `{name}` \| (.*) \|$", page, re.MULTILINE).group(1).split(" | ")
        assert [float(cell) for cell in cells] == [*bounds, 1e-4]


def test_the_page_stays_short():
    assert len((DOCS / "artifact.md").read_text(encoding="utf-8").splitlines()) <= 150
