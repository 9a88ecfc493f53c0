"""The manifest survives the way to JSON and back; everything else is an ArtifactError that names the key."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stonnx.artifact import (
    INSTRUCTION_SETS,
    Artifact,
    Fidelity,
    FileEntry,
    Manifest,
    Source,
    Stage,
    TokenizerSpec,
    Variant,
    classify,
    manifest_from_json,
    manifest_to_json,
    write_manifest,
)
from stonnx.errors import ArtifactError

SHA = "0" * 64
HERE = Path(__file__).parent

# --- strategies -------------------------------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
paths = st.lists(
    st.from_regex(r"[A-Za-z0-9_.-]{1,6}", fullmatch=True).filter(lambda part: part not in {".", ".."}),
    min_size=1,
    max_size=3,
).map("/".join)
cosines = st.floats(-1, 1) | st.floats(0.997, 1)
fidelities = st.builds(
    Fidelity,
    texts=st.integers(1, 10**6),
    cosine_mean=cosines,
    cosine_min=cosines,
    max_abs_diff=st.floats(0, 2),
    top10_overlap=st.floats(0, 1) | st.floats(0.95, 1),
)


@st.composite
def variants(draw, name, listed):
    graph = draw(st.sampled_from([path for path in listed if path.endswith(".onnx")]))
    extra = draw(st.lists(st.sampled_from([path for path in listed if path != graph]), unique=True, max_size=2))
    fidelity = draw(fidelities)
    kept = draw(st.sampled_from([None, classify(fidelity)]))
    others = draw(st.lists(st.sampled_from(["attention_mask", "token_type_ids", "prompt_length"]), unique=True))
    return Variant(
        name=name,
        engine=draw(st.text(max_size=5)),
        graph=graph,
        files=(graph, *extra),
        inputs=("input_ids", *others),
        equal_lengths="attention_mask" not in others,
        precision=draw(st.sampled_from(["fp32", "int8"])) if kept else "fp32",
        instruction_sets=tuple(draw(st.lists(st.sampled_from(INSTRUCTION_SETS), unique=True, max_size=3))),
        options=draw(st.dictionaries(st.sampled_from(["INFERENCE_PRECISION_HINT", "a.b"]), st.just("f32"))),
        fidelity_class=kept or "exact",
        fidelity=fidelity,
    )


@st.composite
def manifests(draw):
    more = draw(
        st.lists(paths, unique=True, max_size=3).map(lambda names: [name for name in names if name != "stonnx.json"])
    )
    listed = list(dict.fromkeys(["onnx/model.onnx", "tokenizer.json", *more]))
    names = draw(
        st.lists(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,5}", fullmatch=True), min_size=1, max_size=3, unique=True)
    )
    prompts = draw(
        st.dictionaries(st.text(max_size=5), st.text(st.characters(exclude_categories=()), max_size=8), max_size=3)
    )
    dimension = draw(st.integers(1, 4096))
    return Manifest(
        stonnx_version=draw(st.text(max_size=8)),
        source=Source(name=draw(st.text()), revision=draw(st.none() | st.text())),
        architecture=draw(st.text()),
        dimension=dimension,
        tokenizer=TokenizerSpec(
            file=draw(st.sampled_from(listed)),
            max_tokens=draw(st.integers(1, 8192)),
            pad_id=draw(st.integers(0, 10**6)),
        ),
        stages=tuple(
            draw(
                st.lists(
                    st.builds(Stage, kind=st.text(), options=st.dictionaries(st.text(), json_values, max_size=2)),
                    max_size=3,
                )
            )
        ),
        prompts=prompts,
        default_prompt_name=draw(st.sampled_from([None, *prompts])),
        similarity=draw(st.sampled_from(["cosine", "dot", "euclidean", "manhattan", None])),
        truncate_dim=draw(st.none() | st.integers(1, dimension)),
        variants=tuple(draw(variants(name, listed)) for name in names),
        verified=draw(st.booleans()),
        files=tuple(FileEntry(path=path, size_bytes=draw(st.integers(0, 2**40)), sha256=SHA) for path in listed),
    )


def _places(value, at=()):
    """Every container and key of a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in children:
        yield (*at, key)
        yield from _places(item, (*at, key))


@st.composite
def damaged(draw):
    value = copy.deepcopy(manifest_to_json(draw(manifests())))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(sorted(_places(value), key=repr)))
        target = value
        for key in way:
            target = target[key]
        action = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if action == "remove":
            del target[last]
        elif action == "add" and isinstance(target, dict):
            target[draw(st.text(max_size=5))] = draw(json_values)
        else:
            target[last] = draw(
                json_values | st.sampled_from([math.nan, math.inf, 10**400, -1, 0, "../x", "/x", "a//b", "."])
            )
        if not value:
            break
    return value


# --- properties -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(manifests())
def test_round_trip(m):
    value = manifest_to_json(m)
    assert manifest_from_json(value) == m
    assert manifest_from_json(json.loads(json.dumps(value))) == m


@settings(deadline=None, max_examples=80)
@given(damaged() | json_values)
def test_nothing_but_artifact_error(value):
    try:
        m = manifest_from_json(value)
    except ArtifactError:
        return
    assert manifest_to_json(m) == value  # what is accepted is what was written


# --- one by one -------------------------------------------------------------------------------------

WRONG = [
    (("schema_version",), 3, "written by a newer stonnx"),
    (("schema_version",), 0, "schema_version: expected 1 to 2, found 0"),
    (("schema_version",), "1", "schema_version: expected an integer, found '1'"),
    (("schema_version",), True, "schema_version: expected an integer, found True"),
    (("dimension",), True, "dimension: expected an integer, found True"),
    (("dimension",), 8.0, "dimension: expected an integer, found 8.0"),
    (("dimension",), 0, "dimension: expected at least 1, found 0"),
    (("dimension",), 2**63, r"dimension: expected a finite number below 2\^63"),
    (("verified",), 1, "verified: expected true or false, found 1"),
    (("source",), [], r"source: expected an object, found \[\]"),
    (("source", "name"), None, "source.name: expected a string, found None"),
    (("similarity",), "cos", "similarity: expected one of 'cosine'"),
    (("similarity",), ["cosine"], "similarity: expected one of 'cosine'"),
    (("truncate_dim",), 9, r"truncate_dim: expected null or 1 to 8 .*found 9"),
    (("default_prompt_name",), "passage", r"default_prompt_name: .*\('query'\), found 'passage'"),
    (("prompts", "query"), 3, "prompts.query: expected a string, found 3"),
    (("stages", 1, "options"), None, r"stages\[1\]\.options: expected an object, found None"),
    (("stages", 1, "options"), {"x": [math.inf]}, r"stages\[1\]\.options\.x\[0\]: expected a finite number"),
    (("stages", 1, "options"), {"x": {1, 2}}, r"stages\[1\]\.options\.x: expected a JSON value"),
    (("tokenizer", "file"), "vocab.txt", "tokenizer.file: 'vocab.txt' is not listed in files"),
    (("tokenizer", "max_tokens"), 0, "tokenizer.max_tokens: expected at least 1"),
    (("tokenizer", "pad_id"), -1, "tokenizer.pad_id: expected at least 0"),
    (("files",), {}, r"files: expected a list, found \{\}"),
    (("files", 0, "path"), "stonnx.json", r"files\[0\]\.path: stonnx.json cannot list itself"),
    (("files", 0, "path"), "golden.safetensors", "files: the path 'golden.safetensors' is given twice"),
    (("files", 0, "path"), "a\\b", r"files\[0\]\.path: expected a relative POSIX path"),
    (("files", 0, "path"), "a\n", r"files\[0\]\.path: expected a relative POSIX path"),
    (("files", 0, "path"), "\ud800", r"files\[0\]\.path: expected a relative POSIX path"),
    (("files", 0, "path"), "a/../b", r"files\[0\]\.path: expected a relative POSIX path"),
    (("files", 0, "path"), "a//b", r"files\[0\]\.path: expected a relative POSIX path"),
    (("files", 0, "path"), "a/", r"files\[0\]\.path: expected a relative POSIX path"),
    (("files", 0, "path"), "./a", r"files\[0\]\.path: expected a relative POSIX path"),
    (("files", 0, "path"), "", r"files\[0\]\.path: expected a relative POSIX path"),
    (("files", 0, "path"), "C:/a", r"files\[0\]\.path: expected a relative POSIX path"),
    (("files", 0, "size_bytes"), -1, r"files\[0\]\.size_bytes: expected at least 0"),
    (("files", 0, "sha256"), "A" * 64, r"files\[0\]\.sha256: expected 64 lower-case"),
    (("files", 0, "sha256"), "0" * 63, r"files\[0\]\.sha256: expected 64 lower-case"),
    (("files", 0, "sha256"), "0" * 64 + "\n", r"files\[0\]\.sha256: expected 64 lower-case"),
    (("variants",), [], "variants: expected at least one variant"),
    (("variants", 1, "name"), "fp32", "variants: the name 'fp32' is given twice"),
    (("variants", 1, "name"), "FP 32", r"variants\[1\]\.name: expected lower-case"),
    (
        ("variants", 0, "graph"),
        "onnx/model.onnx",
        r"variants\[0\]\.graph: 'onnx/model.onnx' is not listed in variants\[0\]\.files",
    ),
    (("variants", 0, "files"), ["onnx/none.onnx"], r"variants\[0\]\.files\[0\]: 'onnx/none.onnx' is not listed"),
    (("variants", 0, "inputs"), [], r"variants\[0\]\.inputs: expected input_ids"),
    (
        ("variants", 0, "inputs"),
        ["input_ids", "position_ids"],
        r"variants\[0\]\.inputs\[1\]: expected one of input_ids",
    ),
    (
        ("variants", 0, "inputs"),
        ["input_ids", "input_ids"],
        r"variants\[0\]\.inputs: the name 'input_ids' is given twice",
    ),
    (("variants", 0, "equal_lengths"), False, r"variants\[0\]\.equal_lengths: expected true"),
    (("variants", 1, "equal_lengths"), True, r"variants\[1\]\.equal_lengths: expected false"),
    (("variants", 0, "precision"), "fp16", r"variants\[0\]\.precision: expected one of 'fp32', 'bf16', 'int8'"),
    (("variants", 0, "precision"), "int8", r"variants\[0\]\.fidelity_class: expected lossless, high or balanced"),
    (("variants", 0, "instruction_sets"), ["AVX2"], r"variants\[0\]\.instruction_sets\[0\]: expected one of avx2"),
    (("variants", 0, "instruction_sets"), ["avx2", "avx2"], r"instruction_sets: the name 'avx2' is given twice"),
    (("variants", 0, "options"), {"CACHE_DIR": "/tmp"}, r"variants\[0\]\.options\.CACHE_DIR: expected letters"),
    (("variants", 0, "options"), {"A B": "x"}, r"variants\[0\]\.options: expected names"),
    (("variants", 0, "options"), {"A": 1}, r"variants\[0\]\.options\.A: expected a string, found 1"),
    (("variants", 0, "fidelity_class"), "best", r"variants\[0\]\.fidelity_class: expected one of 'exact'"),
    (("files", 0, "path"), ".stonnx-tune/a.json", r"files\[0\]\.path: \.stonnx-tune belongs to a machine"),
    (("variants", 0, "fidelity"), None, r"variants\[0\]\.fidelity: expected numbers because verified is true"),
    (("variants", 1, "fidelity", "texts"), 0, r"variants\[1\]\.fidelity\.texts: expected at least 1"),
    (("variants", 1, "fidelity", "cosine_min"), 1.5, r"variants\[1\]\.fidelity\.cosine_min: expected -1.001 to 1.001"),
    (
        ("variants", 1, "fidelity", "cosine_min"),
        math.nan,
        r"variants\[1\]\.fidelity\.cosine_min: expected a finite number",
    ),
    (("variants", 1, "fidelity", "max_abs_diff"), -0.1, r"variants\[1\]\.fidelity\.max_abs_diff: expected at least 0"),
    (
        ("variants", 1, "fidelity", "top10_overlap"),
        True,
        r"variants\[1\]\.fidelity\.top10_overlap: expected a number, found True",
    ),
]


def change(manifest, at, value):
    document = copy.deepcopy(manifest_to_json(manifest))
    target = document
    for key in at[:-1]:
        target = target[key]
    target[at[-1]] = value
    return document


@pytest.mark.parametrize(("at", "value", "message"), WRONG, ids=lambda part: repr(part)[:40])
def test_wrong_values(manifest, at, value, message):
    with pytest.raises(ArtifactError, match=message):
        manifest_from_json(change(manifest, at, value))


def test_every_key_is_required_and_no_other_is_known(manifest):
    document = manifest_to_json(manifest)
    for place in [
        at for at in _places(document) if isinstance(at[-1], str) and not {"options", "prompts"} & set(at[:-1])
    ]:
        broken = copy.deepcopy(document)
        target = broken
        for key in place[:-1]:
            target = target[key]
        target["surplus"] = target.pop(place[-1])
        with pytest.raises(ArtifactError, match="surplus: unknown key"):
            manifest_from_json(broken)
        del target["surplus"]
        with pytest.raises(ArtifactError, match=f"{place[-1]}: missing key"):
            manifest_from_json(broken)


def test_the_version_is_looked_at_first():
    with pytest.raises(ArtifactError, match="newer stonnx") as caught:
        manifest_from_json({"schema_version": 99, "nothing": "known"})
    assert caught.value.hint.startswith("upgrade: pip install -U stonnx")


def test_a_file_of_version_1_is_read_as_what_it_means(manifest):
    value = json.loads((HERE / "version_1.json").read_text(encoding="utf-8"))
    assert (value["schema_version"], "precision" in value["variants"][0]) == (1, False)
    m = manifest_from_json(value)
    assert [variant.name for variant in m.variants] == ["fp32", "portable"]
    assert {(v.precision, v.instruction_sets, v.fidelity_class) for v in m.variants} == {("fp32", (), "exact")}
    written = manifest_to_json(m)
    assert written["schema_version"] == 2
    assert manifest_from_json(written) == m


@pytest.mark.parametrize("key", ["precision", "instruction_sets", "options", "fidelity_class"])
def test_a_file_of_version_1_has_no_keys_of_version_2(key):
    value = json.loads((HERE / "version_1.json").read_text(encoding="utf-8"))
    value["variants"][1][key] = "x"
    with pytest.raises(ArtifactError, match=rf"variants\[1\]\.{key}: unknown key in a file of schema_version 1"):
        manifest_from_json(value)


@pytest.mark.parametrize("variants", [None, {}, [1]])
def test_a_damaged_file_of_version_1(variants):
    value = json.loads((HERE / "version_1.json").read_text(encoding="utf-8"))
    with pytest.raises(ArtifactError, match="variants"):
        manifest_from_json({**value, "variants": variants})


def test_a_verified_variant_keeps_its_class(manifest):
    wide = replace(manifest.variants[1], precision="int8", fidelity_class="balanced")
    low = replace(wide, fidelity=replace(wide.fidelity, cosine_min=0.9699))
    with pytest.raises(ArtifactError, match=r"not balanced: lowest cosine 0\.96990 is below 0\.97"):
        manifest_from_json(manifest_to_json(replace(manifest, variants=(manifest.variants[0], low))))
    for passing in (replace(manifest, variants=(wide,)), replace(manifest, variants=(low,), verified=False)):
        assert manifest_from_json(manifest_to_json(passing)) == passing


def test_long_values_are_cut_in_messages(manifest):
    with pytest.raises(ArtifactError) as caught:
        manifest_from_json(change(manifest, ("dimension",), "x" * 10_000))
    assert len(str(caught.value)) < 200


def test_numbers_of_a_fidelity_may_be_written_as_integers(manifest):
    m = manifest_from_json(change(manifest, ("variants", 0, "fidelity", "cosine_mean"), 1))
    assert m.variants[0].fidelity is not None
    assert isinstance(m.variants[0].fidelity.cosine_mean, float)


def test_a_variant_that_could_not_run_has_no_numbers(manifest):
    m = replace(manifest, variants=(manifest.variants[0], replace(manifest.variants[1], fidelity=None)))
    assert manifest_from_json(manifest_to_json(m)) == m


def test_an_unverified_artifact_needs_no_numbers(manifest):
    bare = tuple(replace(variant, fidelity=None) for variant in manifest.variants)
    m = replace(manifest, verified=False, variants=bare)
    assert manifest_from_json(manifest_to_json(m)) == m


def test_write_manifest_refuses_what_could_not_be_read(manifest, valid):
    before = (valid / "stonnx.json").read_bytes()
    with pytest.raises(ArtifactError, match="dimension"):
        write_manifest(valid, replace(manifest, dimension=-1))
    assert (valid / "stonnx.json").read_bytes() == before


def test_write_manifest_is_ascii_and_complete(manifest, valid):
    m = replace(manifest, prompts={"查询": "\ud800为这个句子"})
    write_manifest(valid, m)
    (valid / "stonnx.json").read_bytes().decode("ascii")
    assert Artifact.open(valid).manifest == m
