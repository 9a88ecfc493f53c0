"""Rerankers: the scores of the graph, in order, with the habits of ``CrossEncoder``."""

from __future__ import annotations

import dataclasses
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stonnx import Encoder, Reranker
from stonnx.artifact import Artifact
from stonnx.errors import ArtifactError, UnsupportedModelError, UsageError
from stonnx.runtime.pipeline import Pipeline
from stonnx.runtime.streams import RunSettings
from stonnx.runtime.tokenize import TextTokenizer
from stonnx.testing import FakeEngine
from stonnx.testing._tokenizers import build_tokenizer
from tests.rerankers import MAX_TOKENS, score_weights

pytest.importorskip("onnxruntime")

PAIRS = [
    ("hello world", "of and to in"),
    ("hello", "world"),
    ("world", "hello"),
    ("", ""),
    ("of and to in is a", "today " * 30),
    ("a" * 60, "x y"),
    ("今天是周五啦", "hello \udfff"),
    ("x", "y"),
]


def expected_logits(artifact, pairs, *, labels=1, template=None, family="wordpiece"):
    """A NumPy twin of the graph, row by row."""
    table, types = score_weights(build_tokenizer(family).get_vocab_size(), labels)
    tokenizer = TextTokenizer(artifact.file("tokenizer.json"), max_tokens=MAX_TOKENS)
    logits = []
    for pair in pairs:
        row = tokenizer.pair_rows([pair], template=template)
        sides = np.zeros_like(row.ids) if row.token_type_ids is None else row.token_type_ids
        logits.append((table[row.ids] * types[sides]).mean(axis=0))
    return np.array(logits)


def on_engine(artifact, engine):
    """The variant ``portable`` on another engine."""
    return Reranker(
        Pipeline(
            artifact,
            variant=artifact.variant("portable"),
            engine=engine,
            tokenizer=TextTokenizer(artifact.file("tokenizer.json"), max_tokens=MAX_TOKENS),
            settings=RunSettings(threads=1, batch_tokens=1024),
        )
    )


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("variant", ["fp32", "portable", "openvino"])
def test_scores_are_those_of_the_graph_in_input_order(make_reranker, family, variant):
    if variant == "openvino":
        pytest.importorskip("openvino")
    artifact = make_reranker(family=family)
    logits = expected_logits(artifact, PAIRS, family=family)[:, 0]
    assert len(np.unique(logits.round(3))) >= len(PAIRS) - 1  # or an order that was mixed up would not show
    with Reranker.load(artifact, variant=variant, threads=1) as reranker:
        scores = reranker.predict(PAIRS)
        assert (scores.shape, scores.dtype) == ((len(PAIRS),), np.float32)
        np.testing.assert_allclose(scores, sigmoid(logits), atol=1e-5)
        np.testing.assert_allclose(reranker.predict(PAIRS, activation_fn="Identity"), logits, atol=1e-5)
        np.testing.assert_allclose(reranker.predict(PAIRS, batch_tokens=20), scores, atol=1e-6)
        alone = [reranker.predict(pair) for pair in PAIRS]
        assert {(type(score), score.shape) for score in alone} == {(np.float32, ())}
        np.testing.assert_allclose(alone, scores, atol=1e-6)


def test_the_budget_of_a_call_counts(make_reranker):
    engine = FakeEngine(1)
    with on_engine(make_reranker(), engine) as reranker:
        reranker.predict(PAIRS)
        few = len(engine.runs)
        reranker.predict(PAIRS, batch_tokens=1)
        assert few < len(PAIRS) == len(engine.runs) - few


@pytest.mark.parametrize("streams", [1, 2])
def test_windows_do_not_show(make_reranker, monkeypatch, streams):
    with Reranker.load(make_reranker(), threads=streams, streams=streams) as reranker:
        whole = reranker.predict(PAIRS)
        monkeypatch.setattr("stonnx.runtime.reranker.WINDOW_TEXTS", 3)
        np.testing.assert_allclose(reranker.predict(PAIRS), whole, atol=1e-6)


@pytest.mark.parametrize("pairs", [PAIRS, tuple(PAIRS), iter(PAIRS), [list(pair) for pair in PAIRS], np.array(PAIRS)])
def test_any_iterable_of_pairs(make_reranker, pairs):
    with Reranker.load(make_reranker(), threads=1) as reranker:
        np.testing.assert_allclose(reranker.predict(pairs), reranker.predict(PAIRS), atol=1e-6)


def test_several_labels(make_reranker):
    artifact = make_reranker(labels=3)
    logits = expected_logits(artifact, PAIRS, labels=3)
    with Reranker.load(artifact, threads=1) as reranker:
        assert reranker.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
        np.testing.assert_allclose(reranker.predict(PAIRS), sigmoid(logits), atol=1e-5)
        np.testing.assert_allclose(reranker.predict(PAIRS[0]), sigmoid(logits[0]), atol=1e-5)
        assert reranker.predict([]).shape == (0, 3)
        shares = reranker.predict(PAIRS, activation_fn="Identity", apply_softmax=True)
        np.testing.assert_allclose(shares, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), atol=1e-5)
        np.testing.assert_allclose(reranker.predict(PAIRS, apply_softmax=True).sum(axis=1), 1, atol=1e-6)
        with pytest.raises(UsageError, match="rank needs a model with one label; this one has 3: LABEL_0, LABEL_1"):
            reranker.rank("a", ["b"])


@pytest.mark.parametrize("activation", ["Sigmoid", "Identity", "Tanh"])
def test_another_activation_than_the_models(make_reranker, activation):
    artifact = make_reranker()
    scoring = dataclasses.replace(artifact.manifest.scoring, activation=activation)
    artifact = Artifact(artifact.path, dataclasses.replace(artifact.manifest, scoring=scoring))
    logits = expected_logits(artifact, PAIRS)[:, 0]
    with Reranker.load(artifact, threads=1) as reranker:
        assert reranker.activation == activation
        if activation != "Identity":  # the scores of this graph are sigmoids whatever the manifest says
            np.testing.assert_allclose(reranker.predict(PAIRS, activation_fn="Identity"), logits, atol=1e-5)
        np.testing.assert_allclose(reranker.predict(PAIRS, activation_fn="Sigmoid"), sigmoid(logits), atol=1e-5)
        np.testing.assert_allclose(reranker.predict(PAIRS, apply_softmax=True), reranker.predict(PAIRS))


def test_a_ranking(make_reranker):
    documents = ["of and", "hello", "world", "hello", "to in is a", ""]
    with Reranker.load(make_reranker(), threads=1) as reranker:
        scores = reranker.predict([("hello world", text) for text in documents]).tolist()
        order = sorted(range(len(documents)), key=lambda number: -scores[number])  # stable: equal documents stay
        ranking = reranker.rank("hello world", documents)
        assert ranking == [{"corpus_id": number, "score": scores[number]} for number in order]
        assert {type(value) for result in ranking for value in result.values()} == {int, float}
        shown = reranker.rank("hello world", iter(documents), return_documents=True, top_k=2)
        texts = [{"corpus_id": n, "score": scores[n], "text": documents[n]} for n in order]
        assert shown == texts[:2]
        assert list(shown[0]) == ["corpus_id", "score", "text"]
        assert len(reranker.rank("a", documents, top_k=99)) == len(documents)
        assert reranker.rank("a", []) == []
        logits = reranker.rank("hello world", documents, activation_fn="Identity")
        assert [result["corpus_id"] for result in logits] == order
        assert min(result["score"] for result in logits) < 0


def test_prompts_go_in_front_of_the_query(make_reranker):
    with Reranker.load(make_reranker(), threads=1) as reranker:
        assert dict(reranker.prompts) == {"on": "on "}
        prompted = reranker.predict([("on hello", "world")])
        for arguments in ({"prompt": "on "}, {"prompt_name": "on"}):
            np.testing.assert_array_equal(reranker.predict([("hello", "world")], **arguments), prompted)
            (result,) = reranker.rank("hello", ["world"], **arguments)
            assert result["score"] == prompted[0]
        assert abs(reranker.predict(("hello", "world")) - prompted[0]) > 1e-4
        with pytest.raises(UsageError, match="no prompt 'query'; this model has: 'on'"):
            reranker.predict(("a", "b"), prompt_name="query")
        with pytest.raises(UsageError, match="prompt_name is a list"):
            reranker.predict(("a", "b"), prompt_name=["on"])


def test_a_model_without_prompts_says_so(make_reranker):
    message = r"no prompt 'query'; this model has none\."
    with Reranker.load(make_reranker(prompts={}), threads=1) as reranker, pytest.raises(UsageError, match=message):
        reranker.predict(("a", "b"), prompt_name="query")


def test_a_default_prompt(make_reranker):
    with Reranker.load(make_reranker(default_prompt_name="on"), threads=1) as reranker:
        assert reranker.predict(("hello", "x")) == reranker.predict(("on hello", "x"), prompt="")


def test_a_pair_template(make_reranker):
    template = "of {query} and {document}"
    artifact = make_reranker(template=template)
    with Reranker.load(artifact, threads=1) as reranker:
        logits = expected_logits(artifact, PAIRS, template=template)[:, 0]
        np.testing.assert_allclose(reranker.predict(PAIRS), sigmoid(logits), atol=1e-5)
        assert abs(sigmoid(logits) - sigmoid(expected_logits(artifact, PAIRS)[:, 0])).max() > 0.01


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("one text", r"pairs is a str; expected a pair of str, or a list of pairs\.\n  hint: Pass a list of pairs"),
        (None, "pairs is None"),
        ({"a": "b"}, "pairs is a dict"),
        (["a", "b", "c"], "pairs has 3 items; expected two"),
        (("a", None), r"pairs\[1\] is None; expected a str"),
        (("a", ["b", "c"]), r"pairs\[1\] is a list; expected a str\.\n  hint: Pass a list of pairs"),
        ([("a", "b"), "cd"], r"pairs\[0\] is a tuple; expected a str"),
        ([("a", "b"), ("c",)], r"pairs\[1\] has 1 item; expected two"),
        ([("a", "b"), ("c", b"d")], r"pairs\[1\]\[1\] is a bytes(.|\n)*decode"),
        ([("a", "b"), 5], r"pairs\[1\] is an int; expected a pair"),
        ([{"a", "b"}], r"pairs\[0\] is a set; expected a pair"),
    ],
)
def test_what_is_no_pair_is_named(make_reranker, pairs, message):
    with Reranker.load(make_reranker(), threads=1) as reranker, pytest.raises(UsageError, match=message):
        reranker.predict(pairs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"documents": "text"}, "documents is a str; expected a list of str"),
        ({"documents": [1]}, r"documents\[0\] is an int"),
        ({"documents": None}, "documents is None"),
        ({"documents": [], "query": 5}, "query is 5"),
        ({"documents": ["a"], "top_k": 0}, "top_k is 0"),
        ({"documents": ["a"], "activation_fn": "Tanh"}, "activation_fn is 'Tanh'; expected 'Identity' or 'Sigmoid'"),
    ],
)
def test_a_wrong_argument_of_rank(make_reranker, arguments, message):
    with Reranker.load(make_reranker(), threads=1) as reranker, pytest.raises(UsageError, match=message):
        reranker.rank(**({"query": "a"} | arguments))


def test_an_encoder_on_a_reranker_and_a_reranker_on_an_encoder(make_reranker, make_artifact):
    with pytest.raises(UsageError, match="holds a reranker, and Encoder runs an embedding model") as caught:
        Encoder.load(make_reranker())
    assert caught.value.hint == "Use stonnx.Reranker."
    assert caught.value.cli_hint.startswith("stonnx rerank ")
    with pytest.raises(UsageError, match="holds an embedding model, and Reranker runs a reranker") as caught:
        Reranker.load(make_artifact())
    assert caught.value.hint == "Use stonnx.Encoder."
    assert caught.value.cli_hint.startswith("stonnx encode ")


def test_what_no_class_runs_is_said(make_artifact):
    artifact = make_artifact()
    sparse = Artifact(artifact.path, dataclasses.replace(artifact.manifest, kind="sparse"))
    towers = Artifact(artifact.path, dataclasses.replace(artifact.manifest, towers=artifact.manifest.towers * 2))
    for opened, message in ((sparse, "of the kind 'sparse'"), (towers, "of 2 towers")):
        with pytest.raises(UnsupportedModelError, match=message):
            Encoder.load(opened)


def test_a_graph_with_other_labels_is_an_artifact_error(make_reranker):
    engine = FakeEngine(3)
    reranker = on_engine(make_reranker(labels=2), engine)
    with pytest.raises(ArtifactError, match=r"gives scores of the shape \(1, 3\) .* dimension 2"):
        reranker.predict(("a", "b"))
    assert "token_type_ids" in engine.runs[0]


def test_a_graph_without_logits_gives_scores_only(make_reranker):
    artifact = make_reranker()
    scores, _ = artifact.manifest.outputs
    with Reranker.load(Artifact(artifact.path, dataclasses.replace(artifact.manifest, outputs=(scores,)))) as reranker:
        assert reranker.predict(PAIRS, activation_fn="Sigmoid").shape == (len(PAIRS),)
        with pytest.raises(UsageError, match="gives no logits, so that activation_fn cannot be 'Identity'"):
            reranker.predict(PAIRS, activation_fn="Identity")


def test_properties_closing_pickling_and_threads(make_reranker, caplog):
    reranker = Reranker.load(make_reranker(), threads=2, streams=2, batch_tokens=50)
    assert (reranker.threads, reranker.streams, reranker.batch_tokens) == (2, 2, 50)
    assert (reranker.max_tokens, reranker.variant.name, reranker.engine.name) == (16, "fp32", "onnxruntime")
    assert (reranker.default_prompt_name, reranker.labels) == (None, ("LABEL_0",))
    assert "labels=1, max_tokens=16, threads=2, streams=2)" in repr(reranker)
    expected = reranker.predict(PAIRS)
    assert reranker.truncated_texts == 2
    assert "2 of 8 pairs were longer than 16 tokens" in caplog.text
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(reranker.predict, [PAIRS] * 8):
            np.testing.assert_allclose(scores, expected, atol=1e-6)
    again = pickle.loads(pickle.dumps(reranker))  # noqa: S301 - our own bytes
    assert type(again) is Reranker
    np.testing.assert_allclose(again.predict(PAIRS), expected, atol=1e-6)
    again.close()
    with reranker:
        pass
    assert "closed" in repr(reranker)
    with pytest.raises(UsageError, match="This reranker is closed") as caught:
        reranker.predict(PAIRS)
    assert caught.value.hint == "Load it again with Reranker.load."
    with pytest.raises(UsageError, match="This reranker is closed, so it cannot be pickled"):
        pickle.dumps(reranker)


def test_progress_is_drawn_only_when_asked(make_reranker, capsys):
    with Reranker.load(make_reranker(), threads=1) as reranker:
        reranker.predict(PAIRS)
        assert capsys.readouterr() == ("", "")
        reranker.predict(PAIRS, show_progress=True)
        assert "8/8 pairs" in capsys.readouterr().err
