"""Artifacts of older versions, as they were written then, are read as what they mean in the present layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stonnx.artifact import SCHEMA_VERSION, manifest_from_json, manifest_to_json
from stonnx.artifact.upgrades import from_1_to_2, from_2_to_3
from stonnx.errors import ArtifactError

OLD = Path(__file__).parent / "old"
VERSIONS = range(1, SCHEMA_VERSION)


def stored(version):
    return json.loads((OLD / f"version_{version}/stonnx.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_artifact_loads_and_computes(version, load):
    artifact = load(OLD / f"version_{version}")
    artifact.check_files()
    m = artifact.manifest
    assert (stored(version)["schema_version"], m.schema_version) == (version, SCHEMA_VERSION)
    assert (m.kind, m.dimension, m.scoring, [tower.route for tower in m.towers]) == ("embedding", 8, None, [""])
    assert [(output.name, output.kind) for output in m.outputs] == [("sentence_embedding", "sentence_embedding")]
    assert m.architecture == "bert"
    assert [stage.kind for stage in m.stages] == ["Transformer", "Pooling"]
    assert (m.tower.prompts, m.tower.default_prompt_name) == ({"query": "query: "}, None)
    tokenizer = m.tower.tokenizer
    assert (tokenizer.max_tokens, tokenizer.pad_id, tokenizer.padding_side) == (16, 0, "right")
    found = [(v.name, v.graph.layout, v.graph.origin, v.graph.fused, v.device) for v in m.variants]
    assert found == [
        ("fp32", "equal_lengths", "authored", None, "cpu"),
        ("portable", "padded", "authored", None, "cpu"),
    ]
    assert {(v.precision, v.instruction_sets, v.fidelity_class) for v in m.variants} == {("fp32", (), "exact")}
    assert m.variants[1].graph.inputs == ("input_ids", "attention_mask", "token_type_ids")
    assert manifest_from_json(manifest_to_json(m)) == m


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_artifact_embeds(version):
    pytest.importorskip("onnxruntime")
    from stonnx import Encoder

    with Encoder.load(OLD / f"version_{version}", threads=1) as encoder:
        goldens = encoder.artifact.goldens()
        assert abs(encoder.encode(list(goldens.texts)) - goldens.vectors).max() < 1e-6


def test_what_a_file_says_is_carried_over():
    value = {**stored(2), "default_prompt_name": "query", "truncate_dim": 4, "similarity": "dot"}
    m = manifest_from_json(value)
    assert (m.tower.default_prompt_name, m.truncate_dim, m.similarity) == ("query", 4, "dot")


def test_a_step_changes_nothing_but_its_own():
    """One step at a time: what version 1 had is untouched in version 2, and the chain ends in the present layout."""
    first = stored(1)
    second = from_1_to_2(first)
    variants = [{key: item for key, item in v.items() if key in first["variants"][0]} for v in second["variants"]]
    assert {**second, "schema_version": 1, "variants": variants} == first
    assert from_2_to_3(second)["schema_version"] == 3
    assert first == stored(1), "a step changes the file that it is given"


@pytest.mark.parametrize(
    ("version", "at", "message"),
    [
        *((1, ("variants", 1, key), rf"variants\[1\]\.{key}") for key in ("precision", "instruction_sets", "options")),
        *((2, (key,), f"{key}:") for key in ("kind", "outputs", "towers", "scoring")),
        *((2, ("variants", 1, key), rf"variants\[1\]\.{key}") for key in ("graphs", "device")),
        (2, ("tokenizer", "padding_side"), r"tokenizer\.padding_side"),
    ],
)
def test_an_older_file_has_no_later_keys(version, at, message):
    value = stored(version)
    target = value
    for key in at[:-1]:
        target = target[key]
    target[at[-1]] = "x"
    with pytest.raises(ArtifactError, match=f"{message}.* unknown key in a file of schema_version {version}"):
        manifest_from_json(value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("key", ["architecture", "dimension", "tokenizer", "stages", "prompts", "variants", "files"])
def test_an_older_file_lacks_no_keys_of_its_own(version, key):
    value = stored(version)
    del value[key]
    with pytest.raises(ArtifactError, match=f"{key}: missing key"):
        manifest_from_json(value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "change",
    [
        {"variants": None},
        {"variants": {}},
        {"variants": [1]},
        {"variants": [{}]},
        {"stages": 3},
        {"stages": [3]},
        {"tokenizer": []},
        {"prompts": 3},
        {"dimension": "8"},
    ],
    ids=str,
)
def test_a_damaged_older_file(version, change):
    with pytest.raises(ArtifactError):
        manifest_from_json({**stored(version), **change})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wrong", [[], {}, 1, 0, None, "true"], ids=str)
def test_equal_lengths_is_true_or_false(version, wrong):
    value = stored(version)
    value["variants"][1]["equal_lengths"] = wrong
    with pytest.raises(ArtifactError, match=r"variants\[1\]\.equal_lengths: expected true or false, found"):
        manifest_from_json(value)
