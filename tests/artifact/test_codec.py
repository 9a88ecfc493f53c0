"""The manifest survives the way to JSON and back; everything else is an ArtifactError that names the key."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stonnx.artifact import (
    Artifact,
    Output,
    ScoreFidelity,
    Scoring,
    manifest_from_json,
    manifest_to_json,
    write_manifest,
)
from stonnx.errors import ArtifactError
from tests.artifact.strategies import json_values, manifests
from tests.manifests import with_tower


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
    (("schema_version",), 4, "written by a newer stonnx"),
    (("schema_version",), 0, "schema_version: expected 1 to 3, found 0"),
    (("schema_version",), "1", "schema_version: expected an integer, found '1'"),
    (("schema_version",), True, "schema_version: expected an integer, found True"),
    (("outputs", 0, "dimension"), True, r"outputs\[0\]\.dimension: expected an integer, found True"),
    (("outputs", 0, "dimension"), 8.0, r"outputs\[0\]\.dimension: expected an integer, found 8.0"),
    (("outputs", 0, "dimension"), 0, r"outputs\[0\]\.dimension: expected at least 1, found 0"),
    (("outputs", 0, "dimension"), 2**63, r"outputs\[0\]\.dimension: expected a finite number below 2\^63"),
    (("verified",), 1, "verified: expected true or false, found 1"),
    (("source",), [], r"source: expected an object, found \[\]"),
    (("source", "name"), None, "source.name: expected a string, found None"),
    (("similarity",), "cos", "similarity: expected one of 'cosine'"),
    (("similarity",), ["cosine"], "similarity: expected one of 'cosine'"),
    (("truncate_dim",), 9, r"truncate_dim: expected null or 1 to 8 .*found 9"),
    (
        ("towers", 0, "default_prompt_name"),
        "passage",
        r"towers\[0\]\.default_prompt_name: .*\('query'\), found 'passage'",
    ),
    (("towers", 0, "prompts", "query"), 3, r"towers\[0\]\.prompts\.query: expected a string, found 3"),
    (("towers", 0, "head", 0, "options"), None, r"towers\[0\]\.head\[0\]\.options: expected an object, found None"),
    (
        ("towers", 0, "head", 0, "options"),
        {"x": [math.inf]},
        r"towers\[0\]\.head\[0\]\.options\.x\[0\]: expected a finite number",
    ),
    (("towers", 0, "head", 0, "options"), {"x": {1, 2}}, r"towers\[0\]\.head\[0\]\.options\.x: expected a JSON value"),
    (
        ("towers", 0, "tokenizer", "file"),
        "vocab.txt",
        r"towers\[0\]\.tokenizer\.file: 'vocab.txt' is not listed in files",
    ),
    (("towers", 0, "tokenizer", "max_tokens"), 0, r"towers\[0\]\.tokenizer\.max_tokens: expected at least 1"),
    (("towers", 0, "tokenizer", "pad_id"), -1, r"towers\[0\]\.tokenizer\.pad_id: expected at least 0"),
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
        ("variants", 0, "graphs", 0, "file"),
        "onnx/model.onnx",
        r"variants\[0\]\.graphs\[0\]\.file: 'onnx/model.onnx' is not listed in variants\[0\]\.files",
    ),
    (("variants", 0, "files"), ["onnx/none.onnx"], r"variants\[0\]\.files\[0\]: 'onnx/none.onnx' is not listed"),
    (("variants", 0, "graphs", 0, "inputs"), [], r"variants\[0\]\.graphs\[0\]\.inputs: expected input_ids"),
    (
        ("variants", 0, "graphs", 0, "inputs"),
        ["input_ids", "position_ids"],
        r"variants\[0\]\.graphs\[0\]\.inputs\[1\]: expected one of input_ids",
    ),
    (
        ("variants", 0, "graphs", 0, "inputs"),
        ["input_ids", "input_ids"],
        r"variants\[0\]\.graphs\[0\]\.inputs: the name 'input_ids' is given twice",
    ),
    (
        ("variants", 0, "graphs", 0, "layout"),
        "padded",
        r"graphs\[0\]\.layout: expected equal_lengths or packed, because",
    ),
    (
        ("variants", 1, "graphs", 0, "layout"),
        "packed",
        r"graphs\[0\]\.layout: expected padded, because attention_mask is",
    ),
    (("variants", 1, "graphs", 0, "layout"), "ragged", r"graphs\[0\]\.layout: expected one of 'padded'"),
    (("variants", 0, "graphs", 0, "origin"), "found", r"graphs\[0\]\.origin: expected one of 'authored'"),
    (
        ("variants", 0, "graphs", 0, "fused"),
        {"BiasGelu": 0},
        r"graphs\[0\]\.fused\.BiasGelu: expected at least 1, found 0",
    ),
    (
        ("variants", 0, "graphs", 0, "tower"),
        "query",
        r"variants\[0\]\.graphs: expected one graph for each tower \(\[''\]\)",
    ),
    (("variants", 0, "graphs"), [], r"variants\[0\]\.graphs: expected one graph for each tower"),
    (
        ("variants", 0, "graphs", 0, "inputs"),
        ["input_ids", "prompt_length", "prompt_lengths"],
        r"inputs: expected prompt_length or prompt_lengths, found both",
    ),
    (("variants", 0, "device"), "tpu", r"variants\[0\]\.device: expected one of 'cpu', 'cuda'"),
    (("kind",), "reranker", r"outputs\[0\]\.kind: expected 'scores', because kind is 'reranker'"),
    (("kind",), "generator", "kind: expected one of 'embedding'"),
    (("outputs",), [], "outputs: expected at least one output, found none"),
    (("outputs", 0, "name"), "a b", r"outputs\[0\]\.name: expected letters"),
    (("towers",), [], "towers: expected at least one tower, found none"),
    (("towers", 0, "tokenizer", "padding_side"), "top", r"tokenizer\.padding_side: expected one of 'right', 'left'"),
    (
        ("scoring",),
        {"labels": [], "activation": "Sigmoid", "pair_template": None},
        "scoring: expected null, because kind is 'embedding'",
    ),
    (("variants", 0, "precision"), "fp64", r"variants\[0\]\.precision: expected one of 'fp32', 'fp16', 'bf16', 'int8'"),
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
        at for at in _places(document) if isinstance(at[-1], str) and not {"options", "prompts", "fused"} & set(at[:-1])
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


@pytest.fixture
def reranker(manifest):
    """A manifest of a reranker with two labels."""
    outputs = (Output(name="scores", kind="scores", dimension=2), Output(name="logits", kind="logits", dimension=2))
    figures = ScoreFidelity(pairs=9, queries=1, mean_abs_diff=1e-8, max_abs_diff=1e-7, top10_overlap=1.0)
    return replace(
        manifest,
        kind="reranker",
        outputs=outputs,
        scoring=Scoring(labels=("no", "yes"), activation="Identity", pair_template=None),
        variants=tuple(replace(variant, fidelity=figures) for variant in manifest.variants),
    )


def test_a_reranker(reranker):
    assert manifest_from_json(manifest_to_json(reranker)) == reranker


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("scoring",), None, "scoring: expected an object, because kind is 'reranker'"),
        (("scoring", "labels"), ["yes"], r"outputs\[0\]\.dimension: expected 1 \(the labels\), found 2"),
        (
            ("scoring", "activation"),
            "torch.nn.Sigmoid",
            r"scoring\.activation: expected the name of a class of torch\.nn",
        ),
        (("scoring", "pair_template"), "{query}", r"scoring\.pair_template: expected \{query\} and \{document\} in it"),
        (("outputs", 0, "kind"), "logits", r"outputs\[0\]\.kind: expected 'scores'"),
        (("variants", 0, "fidelity", "max_abs_diff"), 1.5, r"max_abs_diff: expected 0.0 to 1.0, found 1.5"),
        (("variants", 0, "fidelity", "pairs"), 0, r"pairs: expected at least 1, found 0"),
        (("variants", 0, "fidelity", "queries"), -1, r"queries: expected at least 0, found -1"),
        (("variants", 0, "fidelity", "mean_abs_diff"), 1.1, r"mean_abs_diff: expected 0.0 to 1.0, found 1.1"),
        (("variants", 0, "fidelity", "mean_abs_diff"), -0.1, r"mean_abs_diff: expected 0.0 to 1.0, found -0.1"),
        (
            ("variants", 1, "fidelity"),
            {"texts": 1, "cosine_mean": 1, "cosine_min": 1, "max_abs_diff": 0, "top10_overlap": 1},
            r"variants\[1\]\.fidelity: expected the figures of scores, because kind is 'reranker'",
        ),
    ],
)
def test_what_a_reranker_needs(reranker, at, value, message):
    with pytest.raises(ArtifactError, match=message):
        manifest_from_json(change(reranker, at, value))


def test_a_reranker_keeps_the_class_that_its_scores_promise(reranker):
    figures = replace(reranker.variants[0].fidelity, mean_abs_diff=0.006)
    rough = replace(reranker.variants[1], fidelity=figures, fidelity_class="balanced", precision="int8")
    kept = replace(reranker, verified=True, variants=(reranker.variants[0], rough))
    assert manifest_from_json(manifest_to_json(kept)) == kept
    broken = replace(kept, variants=(reranker.variants[0], replace(rough, fidelity_class="high")))
    with pytest.raises(ArtifactError, match=r"the figures are not high: mean difference 0\.00600 is above 0\.005"):
        manifest_from_json(manifest_to_json(broken))


def test_an_embedding_has_no_figures_of_scores(manifest, reranker):
    mixed = replace(manifest, variants=reranker.variants)
    with pytest.raises(ArtifactError, match="expected the figures of vectors, because kind is 'embedding'"):
        manifest_from_json(manifest_to_json(mixed))


def test_two_towers(manifest):
    query, document = (replace(manifest.tower, route=route) for route in ("query", "document"))
    variants = tuple(
        replace(variant, graphs=tuple(replace(variant.graph, tower=route) for route in ("query", "document")))
        for variant in manifest.variants
    )
    both = replace(manifest, towers=(query, document), variants=variants)
    assert manifest_from_json(manifest_to_json(both)) == both
    nameless = replace(both, towers=(query, manifest.tower))
    with pytest.raises(ArtifactError, match=r"towers\[1\]\.route: expected a name, because there are several towers"):
        manifest_from_json(manifest_to_json(nameless))
    twice = replace(both, towers=(query, query))
    with pytest.raises(ArtifactError, match="towers: the route 'query' is given twice"):
        manifest_from_json(manifest_to_json(twice))
    crossed = replace(both, towers=(document, query))
    with pytest.raises(ArtifactError, match=r"variants\[0\]\.graphs: expected one graph for each tower"):
        manifest_from_json(manifest_to_json(crossed))


def test_a_verified_variant_keeps_its_class(manifest):
    wide = replace(manifest.variants[1], precision="int8", fidelity_class="balanced")
    low = replace(wide, fidelity=replace(wide.fidelity, cosine_min=0.9699))
    with pytest.raises(ArtifactError, match=r"not balanced: lowest cosine 0\.96990 is below 0\.97"):
        manifest_from_json(manifest_to_json(replace(manifest, variants=(manifest.variants[0], low))))
    for passing in (replace(manifest, variants=(wide,)), replace(manifest, variants=(low,), verified=False)):
        assert manifest_from_json(manifest_to_json(passing)) == passing


def test_long_values_are_cut_in_messages(manifest):
    with pytest.raises(ArtifactError) as caught:
        manifest_from_json(change(manifest, ("outputs", 0, "dimension"), "x" * 10_000))
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
        write_manifest(valid, replace(manifest, outputs=(replace(manifest.output, dimension=-1),)))
    assert (valid / "stonnx.json").read_bytes() == before


def test_write_manifest_is_ascii_and_complete(manifest, valid):
    m = with_tower(manifest, prompts={"查询": "\ud800为这个句子"})
    write_manifest(valid, m)
    (valid / "stonnx.json").read_bytes().decode("ascii")
    assert Artifact.open(valid).manifest == m
