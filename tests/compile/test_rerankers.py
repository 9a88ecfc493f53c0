"""Cross-encoders converted: the manifest, the folder that CrossEncoder reads, and the original's scores."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnxruntime
import pytest

from stonnx import Reranker
from stonnx.artifact import Artifact, Output, Scoring
from stonnx.artifact.onnx_check import check_graphs
from stonnx.checkpoint import SourceFolder, read_model, resolve_source
from stonnx.cli._console import Output as Console
from stonnx.cli.convert import print_conversion
from stonnx.compile import convert
from stonnx.graph.modules.classifier import CLASSIFIERS
from stonnx.runtime.loading import why_not_here
from tests.originals import make_original, make_reranker

pytestmark = pytest.mark.reference

PAIRS = [("hello world", "text number five"), ("of and to", ""), ("", "a"), ("today " * 30, "paper " * 50)]


@pytest.fixture
def cross_encoder():
    """A function: the model of a folder, by sentence-transformers."""
    from sentence_transformers import CrossEncoder

    return lambda folder: CrossEncoder(str(folder), device="cpu")


def run(artifact, variant, pairs):
    """Scores and logits of a variant, row by row; the tokenizer is the artifact's as transformers reads it."""
    from transformers import AutoTokenizer

    graph = artifact.manifest.variants[variant].graph
    session = onnxruntime.InferenceSession(artifact.file(graph.file))
    tokenizer = AutoTokenizer.from_pretrained(artifact.path)
    limit = artifact.manifest.tower.tokenizer.max_tokens
    results = []
    for query, document in pairs:
        rows = tokenizer([query], [document], truncation="longest_first", max_length=limit, return_token_type_ids=True)
        feeds = {name: np.array(rows[name], dtype=np.int64) for name in graph.inputs}
        results.append(session.run(["scores", "logits"], feeds))
    return tuple(np.concatenate(part) for part in zip(*results, strict=True))


@pytest.mark.parametrize("labels", [1, 3])
def test_manifest(tmp_path, labels):
    done = convert(
        make_reranker(tmp_path / "source", "bert", labels=labels), tmp_path / "out", verify=False, int8=False
    )
    artifact = Artifact.open(tmp_path / "out")
    artifact.check_files()
    manifest = artifact.manifest
    assert manifest == done.manifest
    assert manifest.kind == "reranker"
    assert manifest.outputs == tuple(Output(name=name, kind=name, dimension=labels) for name in ("scores", "logits"))
    names = tuple(f"L{index}" for index in range(labels))
    activation = "Sigmoid" if labels == 1 else "Identity"
    assert manifest.scoring == Scoring(labels=names, activation=activation, pair_template=None)
    assert [stage.kind for stage in manifest.stages] == ["Transformer", "Classifier"]
    assert (manifest.similarity, manifest.truncate_dim) == (None, None)
    for variant in manifest.variants:
        check_graphs(artifact, variant)
        assert "token_type_ids" in variant.graph.inputs
    assert done.unused_tensors == ()
    assert not [path for path in (tmp_path / "out").iterdir() if "Classifier" in path.name or "Pooling" in path.name]


@pytest.mark.parametrize("family", sorted(CLASSIFIERS))
def test_scores_are_the_originals(tmp_path, cross_encoder, family):
    source = make_reranker(tmp_path / "source", family)
    convert(source, tmp_path / "out", verify=False, int8=False)
    model = cross_encoder(source)
    expected = model.predict(PAIRS)
    logits = model.predict(PAIRS, activation_fn=_identity())
    assert np.ptp(expected) > 0.02
    for variant in (0, 1):
        found = run(Artifact.open(tmp_path / "out"), variant, PAIRS)
        assert np.abs(found[0][:, 0] - expected).max() < 2e-6
        assert np.abs(found[1][:, 0] - logits).max() < 1e-5  # of up to 4


def _identity():
    import torch

    return torch.nn.Identity()


@pytest.mark.parametrize(
    ("labels", "activation"), [(1, "torch.nn.modules.linear.Identity"), (3, "torch.nn.modules.activation.Sigmoid")]
)
def test_the_models_own_activation(tmp_path, cross_encoder, labels, activation):
    source = make_reranker(tmp_path / "source", "mpnet", labels=labels, activation=activation)
    convert(source, tmp_path / "out", verify=False, int8=False)
    expected = cross_encoder(source).predict(PAIRS).reshape(len(PAIRS), labels)
    scores, logits = run(Artifact.open(tmp_path / "out"), 0, PAIRS)
    assert np.abs(scores - expected).max() < 5e-6
    assert np.array_equal(scores, logits) == ("Identity" in activation)


@pytest.mark.parametrize("labels", [1, 3])
def test_the_folder_is_still_a_cross_encoder(tmp_path, cross_encoder, labels):
    """Whatever loads the original loads the artifact too, given the weights; nothing is read differently."""
    activation = "torch.nn.modules.activation.Tanh"
    source = make_reranker(tmp_path / "source", "bert", labels=labels, activation=activation)
    convert(source, tmp_path / "out", verify=False, int8=False)
    before = read_model(resolve_source(source))
    after = read_model(SourceFolder(path=tmp_path / "out", name=str(source), revision=None))
    for name in ("kind", "classification", "tokenizer_json", "max_tokens", "prompts", "modules"):
        assert getattr(after, name) == getattr(before, name), name
    shutil.copyfile(source / "model.safetensors", tmp_path / "out" / "model.safetensors")
    original, copy = cross_encoder(source), cross_encoder(tmp_path / "out")
    assert copy.num_labels == labels
    assert type(copy.activation_fn).__name__ == "Tanh"
    np.testing.assert_array_equal(copy.predict(PAIRS), original.predict(PAIRS))
    # Older releases read config.json alone.
    for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
        (tmp_path / "out" / name).unlink()
    bare = cross_encoder(tmp_path / "out")
    assert type(bare.activation_fn).__name__ == "Tanh"
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["sbert_ce_default_activation_function"] == config["sentence_transformers"]["activation_fn"]
    assert config["id2label"] == {str(index): f"L{index}" for index in range(labels)}


def test_a_folder_saved_by_cross_encoder_keeps_its_prompts_and_limit(tmp_path, cross_encoder):
    model = cross_encoder(make_reranker(tmp_path / "source", "bert"))
    model.prompts, model.default_prompt_name, model.max_seq_length = {"query": "q: "}, "query", 40
    model.save_pretrained(str(tmp_path / "saved"))
    done = convert(tmp_path / "saved", tmp_path / "out", verify=False, int8=False)
    tower = done.manifest.tower
    assert (tower.prompts, tower.default_prompt_name, tower.tokenizer.max_tokens) == ({"query": "q: "}, "query", 40)
    shutil.copyfile(tmp_path / "saved" / "model.safetensors", tmp_path / "out" / "model.safetensors")
    copy = cross_encoder(tmp_path / "out")
    assert (copy.prompts, copy.default_prompt_name, copy.max_seq_length) == ({"query": "q: "}, "query", 40)
    np.testing.assert_array_equal(copy.predict(PAIRS), model.predict(PAIRS))


@pytest.mark.parametrize(
    ("family", "head"), [("bert", "cls."), ("roberta", "lm_head."), ("distilbert", "vocab_"), ("electra", "generator_")]
)
def test_the_head_of_a_masked_language_model_is_listed_as_unused(tmp_path, family, head):
    done = convert(make_original(tmp_path / "source", family, "MaskedLM"), tmp_path / "out", verify=False, int8=False)
    assert done.manifest.kind == "embedding"
    assert done.unused_tensors
    assert {name[: len(head)] for name in done.unused_tensors} == {head}


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_every_variant_that_runs_here(tmp_path, cross_encoder, family):
    source = make_reranker(tmp_path / "source", family)
    done = convert(source, tmp_path / "out", verify=False, int8=False)
    expected = cross_encoder(source).predict(PAIRS)
    names = [variant.name for variant in done.manifest.variants if why_not_here(variant) is None]
    assert {"fp32", "portable"} <= set(names)
    for name in names:
        with Reranker.load(tmp_path / "out", variant=name, threads=1) as reranker:
            found = reranker.predict(PAIRS)
        assert np.abs(found - expected).max() < (5e-6 if "bf16" not in name else 0.05), name


@pytest.mark.parametrize("labels", [1, 6])
def test_what_is_printed(tmp_path, capsys, labels):
    done = convert(
        make_reranker(tmp_path / "source", "bert", labels=labels), tmp_path / "out", verify=False, int8=False
    )
    print_conversion(Console(), done)
    text = " ".join(capsys.readouterr().out.split())
    assert "kind reranker" in text
    assert "Transformer" in text
    assert "Classifier" in text
    assert "dimension" not in text
    assert "similarity" not in text
    assert all(f"L{index}" in text for index in range(min(labels, 3)))
    assert f"activation {'Sigmoid' if labels == 1 else 'Identity'}" in text
