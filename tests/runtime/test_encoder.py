from __future__ import annotations

import gc
import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stonnx.errors import ArtifactError, RunError, UsageError

TEXTS = ["hello world", "", "of and to in is a", "今天是周五啦", "hello world", "a" * 60, "x y", "ab ba", "world " * 9]
VARIANTS = ("fp32", "portable")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("batch_tokens", [None, 1, 7, 40, 10**6])
def test_a_batch_equals_its_texts_alone_in_input_order(fake_encoder, family, variant, batch_tokens):
    encoder, _ = fake_encoder(variant, family=family)
    together = encoder.encode(TEXTS, batch_tokens=batch_tokens)
    assert together.shape == (len(TEXTS), 8)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, [encoder.encode(text) for text in TEXTS], atol=1e-6)
    assert len(np.unique(together.round(5), axis=0)) == len(set(TEXTS))  # or equal rows would prove nothing


def test_equal_lengths_are_honoured(fake_encoder):
    encoder, engine = fake_encoder("fp32")
    encoder.encode(TEXTS)
    assert all(set(feeds) == {"input_ids"} for feeds in engine.runs)
    areas = [feeds["input_ids"].size for feeds in engine.runs]
    assert sum(areas) == len(encoder._pipeline.tokenizer.rows(TEXTS).ids)


def test_padding_where_the_graph_takes_a_mask(fake_encoder):
    encoder, engine = fake_encoder("portable")
    encoder.encode(["a b c d e f g h", "a b c d e f g"])
    (feeds,) = engine.runs
    assert feeds["input_ids"].shape == (2, 10)
    assert feeds["attention_mask"].sum() == 19


def test_batch_tokens_bound_the_area(fake_encoder):
    encoder, engine = fake_encoder("portable")
    encoder.encode(["a b c d"] * 50, batch_tokens=24)
    assert max(feeds["input_ids"].size for feeds in engine.runs) <= 24


def test_equal_texts_are_computed_each_time(fake_encoder):
    encoder, engine = fake_encoder()
    encoder.encode(["hello"] * 50)
    assert sum(len(feeds["input_ids"]) for feeds in engine.runs) == 50


def test_windows_do_not_show(fake_encoder, monkeypatch):
    encoder, _ = fake_encoder()
    whole = encoder.encode(TEXTS)
    monkeypatch.setattr("stonnx.runtime.encoder.WINDOW_TEXTS", 2)
    np.testing.assert_allclose(encoder.encode(TEXTS), whole, atol=1e-6)


def test_shapes(fake_encoder):
    encoder, _ = fake_encoder()
    assert encoder.encode("hello").shape == (8,)
    assert encoder.encode(np.str_("hello")).shape == (8,)
    assert encoder.encode(["hello"]).shape == (1, 8)
    for nothing in ([], (), iter(()), np.array([], dtype=str)):
        empty = encoder.encode(nothing)
        assert (empty.shape, empty.dtype) == ((0, 8), np.float32)
    assert encoder.encode([], truncate_dim=3).shape == (0, 3)


class Column:
    """Iterable as a pandas Series is: no list, no Sequence."""

    def __init__(self, values):
        self.values = values

    def __iter__(self):
        return iter(self.values)


@pytest.mark.parametrize("kind", [tuple, iter, np.array, lambda v: np.array(v, dtype=object), Column])
def test_any_iterable_of_str(fake_encoder, kind):
    encoder, _ = fake_encoder()
    texts = ["hello", "of and to", "x"]
    np.testing.assert_array_equal(encoder.encode(kind(texts)), encoder.encode(texts))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (None, "texts is None; expected a str or a list of str"),
        (5, "texts is an int"),
        (b"abc", "texts is a bytes(.|\n)*decode"),
        ({"a": 1}, "texts is a dict"),
        ({"a"}, "texts is a set"),
        (["a", None], r"texts\[1\] is None; expected a str"),
        (["a", "b", b"c"], r"texts\[2\] is a bytes"),
        ([1.5], r"texts\[0\] is a float"),
        (["a", ["b"]], r"texts\[1\] is a list(.|\n)*flat"),
        (np.array([["a", "b"]]), r"texts\[0\] is a list"),
        (np.array([1, 2]), r"texts\[0\] is an int"),
    ],
)
def test_what_is_no_text_is_named(fake_encoder, texts, message):
    encoder, engine = fake_encoder()
    with pytest.raises(UsageError, match=message):
        encoder.encode(texts)
    assert engine.runs == []


def test_lone_surrogates_are_encoded_as_replacement_characters(fake_encoder):
    encoder, _ = fake_encoder()
    np.testing.assert_array_equal(encoder.encode("a \udfff b"), encoder.encode("a \ufffd b"))


def test_prompts(fake_encoder):
    encoder, _ = fake_encoder()
    prompted = encoder.encode("on world")
    np.testing.assert_array_equal(encoder.encode("world", prompt="on "), prompted)
    np.testing.assert_array_equal(encoder.encode("world", prompt_name="query"), prompted)
    np.testing.assert_array_equal(encoder.encode("world", prompt="on ", prompt_name="passage"), prompted)
    np.testing.assert_array_equal(encoder.encode("world", prompt_name="passage"), encoder.encode("world"))
    assert not np.allclose(encoder.encode("world"), prompted)
    with pytest.raises(UsageError, match="no prompt 'quarry'; this model has: 'query', 'document', 'passage'"):
        encoder.encode("world", prompt_name="quarry")
    with pytest.raises(UsageError, match="prompt is an int"):
        encoder.encode("world", prompt=3)


def test_query_and_document_are_there_for_every_model(fake_encoder):
    encoder, _ = fake_encoder(prompts={"passage": "of ", "other": "in "}, default_prompt_name="other")
    assert list(encoder.prompts.items()) == [("query", ""), ("document", ""), ("passage", "of "), ("other", "in ")]
    plain = encoder.encode("world", prompt="")
    for name in ("query", "document"):
        np.testing.assert_array_equal(encoder.encode("world", prompt_name=name), plain)
    np.testing.assert_array_equal(encoder.encode_query("world"), plain)  # not the default prompt
    np.testing.assert_array_equal(encoder.encode_document(["world"])[0], plain)


def test_queries_and_documents_with_prompts_of_their_own(fake_encoder):
    encoder, _ = fake_encoder(prompts={"query": "on ", "document": "of "})
    for encode, prompt in ((encoder.encode_query, "on "), (encoder.encode_document, "of ")):
        found = encode(["world"], truncate_dim=3, normalize=True, batch_tokens=4)
        expected = encoder.encode(["world"], prompt=prompt, truncate_dim=3, normalize=True)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow  # importing torch
@pytest.mark.reference
def test_prompts_are_those_of_sentence_transformers(tmp_path, fake_encoder):
    from sentence_transformers import SentenceTransformer

    from stonnx.testing import TinyModel, make_tiny_model

    prompts = {"passage": "of and ", "query": "to in "}
    folder = make_tiny_model(tmp_path / "model", TinyModel(prompts=prompts, default_prompt_name="passage"))
    theirs = SentenceTransformer(str(folder), device="cpu")
    ours, _ = fake_encoder(prompts=prompts, default_prompt_name="passage")
    assert list(ours.prompts.items()) == list(theirs.prompts.items())
    document, plain = theirs.encode_document(["hello"]), theirs.encode(["hello"], prompt="")
    np.testing.assert_array_equal(document, plain)


def test_default_prompt(fake_encoder):
    encoder, _ = fake_encoder(default_prompt_name="query")
    assert encoder.default_prompt_name == "query"
    np.testing.assert_array_equal(encoder.encode("world"), encoder.encode("world", prompt="on "))
    np.testing.assert_array_equal(encoder.encode("world", prompt=""), encoder.encode("world", prompt_name="passage"))
    assert not np.allclose(encoder.encode("world"), encoder.encode("world", prompt=""))


def test_prompt_length_goes_to_graphs_that_leave_the_prompt_out(fake_encoder):
    encoder, engine = fake_encoder("prompted")
    encoder.encode(["world", "hello world"], prompt_name="query")
    assert {int(feeds["prompt_length"]) for feeds in engine.runs} == {2}  # [CLS] on
    engine.runs.clear()
    encoder.encode("world")
    assert engine.runs[0]["prompt_length"] == 0
    other, other_engine = fake_encoder("fp32")
    other.encode("world", prompt_name="query")
    assert "prompt_length" not in other_engine.runs[0]


def test_truncate_dim_then_normalize(fake_encoder):
    encoder, _ = fake_encoder()
    full = encoder.encode(TEXTS)
    cut = encoder.encode(TEXTS, truncate_dim=3)
    np.testing.assert_array_equal(cut, full[:, :3])
    np.testing.assert_array_equal(encoder.encode(TEXTS, truncate_dim=np.int64(8), normalize=False), full)
    unit = encoder.encode(TEXTS, truncate_dim=3, normalize=True)
    np.testing.assert_allclose(unit, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(encoder.encode("x y", normalize=True), full[6] / np.linalg.norm(full[6]), atol=1e-6)


def test_default_truncate_dim(fake_encoder):
    encoder, _ = fake_encoder(truncate_dim=5)
    assert encoder.encode("hello").shape == (5,)
    assert encoder.encode("hello", truncate_dim=8).shape == (8,)


@pytest.mark.parametrize("bad", [0, -1, 9, True, 2.0, "3"])
def test_truncate_dim_out_of_range(fake_encoder, bad):
    encoder, _ = fake_encoder()
    with pytest.raises(UsageError, match="truncate_dim is"):
        encoder.encode("hello", truncate_dim=bad)


@pytest.mark.parametrize("bad", [0, -5, False, 1.5, "many"])
def test_batch_tokens_out_of_range(fake_encoder, bad):
    encoder, _ = fake_encoder()
    with pytest.raises(UsageError, match="batch_tokens is"):
        encoder.encode("hello", batch_tokens=bad)


def test_a_vector_of_zeros_stays_zero(fake_encoder):
    encoder, engine = fake_encoder()
    engine.run = lambda feeds, _: (np.zeros((len(feeds["input_ids"]), 8), np.float32),)
    assert not encoder.encode(["hello"], normalize=True).any()


def test_truncated_texts_are_counted_and_logged_once(fake_encoder, caplog):
    encoder, _ = fake_encoder()
    with caplog.at_level(logging.WARNING, logger="stonnx"):
        encoder.encode(["short", "x"])
        assert (encoder.truncated_texts, caplog.messages) == (0, [])
        encoder.encode(["short", "world " * 40, "hello " * 20])
        encoder.encode("world " * 40)
    assert encoder.truncated_texts == 3
    assert caplog.messages == ["2 of 3 texts were longer than 16 tokens and were truncated"]


def test_truncated_texts_are_counted_over_all_windows(fake_encoder, monkeypatch):
    monkeypatch.setattr("stonnx.runtime.encoder.WINDOW_TEXTS", 1)
    encoder, _ = fake_encoder()
    encoder.encode(["world " * 40, "hello " * 20, "x"])
    assert encoder.truncated_texts == 2


def test_progress_is_drawn_on_stderr_and_only_when_asked(fake_encoder, capsys):
    encoder, _ = fake_encoder()
    encoder.encode(TEXTS)
    assert capsys.readouterr() == ("", "")
    encoder.encode(TEXTS, show_progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{len(TEXTS)}/{len(TEXTS)}" in err


def test_an_engine_failure_passes_through_and_the_encoder_lives_on(fake_encoder):
    encoder, engine = fake_encoder(error=RunError("no"))
    with pytest.raises(RunError, match="no"):
        encoder.encode(TEXTS)
    engine.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        encoder.encode(TEXTS, show_progress=True)
    engine.error = None
    assert encoder.encode(TEXTS).shape == (len(TEXTS), 8)


def test_a_graph_of_another_dimension_is_an_artifact_error(fake_encoder):
    encoder, engine = fake_encoder()
    engine.dimension = 9
    with pytest.raises(ArtifactError, match=r"shape \(1, 9\) for 1 texts; the manifest says dimension 8"):
        encoder.encode("hello")


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_threads_get_their_own_vectors(fake_encoder, variant):
    encoder, _ = fake_encoder(variant)
    lists = [[f"{'ab'[i % 2]} " * (1 + i % 13) + str(i * k) for i in range(60)] for k in range(1, 5)]
    alone = [encoder.encode(texts) for texts in lists]
    start = threading.Barrier(len(lists))

    def run(texts):
        start.wait()
        return [encoder.encode(texts) for _ in range(5)]

    with ThreadPoolExecutor(len(lists)) as pool:
        for expected, results in zip(alone, pool.map(run, lists), strict=True):
            for result in results:
                np.testing.assert_array_equal(result, expected)


def test_close_and_context_manager(fake_encoder):
    encoder, engine = fake_encoder()
    with encoder as entered:
        assert entered is encoder
        entered.encode("hello")
    assert engine.closed
    assert "closed" in repr(encoder)
    encoder.close()
    with pytest.raises(UsageError, match="closed"):
        encoder.encode("hello")


def test_properties(fake_encoder):
    encoder, engine = fake_encoder()
    assert (encoder.dimension, encoder.max_tokens, encoder.threads, encoder.variant.name) == (8, 16, 1, "fp32")
    assert dict(encoder.prompts) == {"query": "on ", "document": "", "passage": ""}
    with pytest.raises(TypeError):
        encoder.prompts["x"] = "y"
    assert encoder.engine is engine
    assert encoder.artifact.manifest.dimension == 8
    assert "variant='fp32', dimension=8, max_tokens=16, threads=1, streams=1)" in repr(encoder)


def test_results_do_not_keep_the_texts_alive(fake_encoder):
    encoder, _ = fake_encoder()

    class Text(str):
        __slots__ = ("__weakref__",)

    text = Text("hello")
    gone = weakref.ref(text)
    encoder.encode([text])
    del text
    gc.collect()
    assert gone() is None


def test_similarity_follows_the_manifest(fake_encoder):
    a, b = np.eye(2, 8, dtype=np.float32), 2 * np.eye(3, 8, dtype=np.float32)
    cosine, _ = fake_encoder(similarity=None)
    np.testing.assert_allclose(cosine.similarity(a, b), np.eye(2, 3))
    dot, _ = fake_encoder(similarity="dot")
    np.testing.assert_allclose(dot.similarity(a, b), 2 * np.eye(2, 3))
