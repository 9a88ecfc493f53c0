"""``Encoder.stream``: an endless iterator in, one embedding a text out, in order and in bounded memory."""

from __future__ import annotations

import gc
import itertools
import threading
import weakref

import numpy as np
import pytest

from stonnx.errors import RunError, UsageError
from stonnx.runtime.windows import windows_of

TEXTS = [f"{'of and to '[: i % 9]}{'world ' * (i % 14)}{i}" for i in range(60)]


class Reader:
    """An iterable of texts that counts what was taken, and who took it."""

    def __init__(self, texts):
        self.texts = texts
        self.taken = 0
        self.threads = set()

    def __iter__(self):
        for text in self.texts:
            self.taken += 1
            self.threads.add(threading.get_ident())
            yield text


def endless():
    return (f"{'ab'[i % 2]} " * (1 + i % 13) + str(i) for i in itertools.count())


@pytest.mark.parametrize("variant", ["fp32", "portable"])
@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("window", [1, 7, 59, 60, 61, 10**6])
def test_the_embeddings_are_those_of_encode_in_order(fake_encoder, variant, streams, window):
    encoder, _ = fake_encoder(variant, streams=streams)
    expected = encoder.encode(TEXTS)
    found = list(encoder.stream(iter(TEXTS), window_texts=window))
    assert {(vector.shape, vector.dtype) for vector in found} == {((8,), np.dtype(np.float32))}
    np.testing.assert_allclose(found, expected, atol=1e-6)
    encoder.close()


def test_the_options_are_those_of_encode(fake_encoder):
    encoder, engine = fake_encoder("prompted")
    options = {"prompt_name": "query", "truncate_dim": 3, "normalize": True, "batch_tokens": 20}
    expected = encoder.encode(TEXTS, **options)
    engine.runs.clear()
    np.testing.assert_allclose(list(encoder.stream(TEXTS, window_texts=8, **options)), expected, atol=1e-6)
    assert {int(feeds["prompt_length"]) for feeds in engine.runs} == {2}
    assert max(feeds["input_ids"].size for feeds in engine.runs) <= 20
    np.testing.assert_array_equal(next(encoder.stream(["x"], prompt="on ")), encoder.encode("x", prompt="on "))


@pytest.mark.parametrize("streams", [1, 2])
def test_an_endless_iterator_is_read_two_windows_ahead_at_most(fake_encoder, streams):
    encoder, engine = fake_encoder(streams=streams)
    reader = Reader(endless())
    stream = encoder.stream(reader, window_texts=10)
    assert reader.taken == 0  # before anybody asks
    for done in range(95):
        next(stream)
        assert reader.taken <= (done // 10 + 2) * 10
        assert sum(len(feeds["input_ids"]) for feeds in engine.runs) <= (done // 10 + 1) * 10
    assert reader.threads == {threading.get_ident()}
    encoder.close()


def test_embeddings_come_while_the_input_is_still_being_read(fake_encoder):
    encoder, _ = fake_encoder()
    expected = encoder.encode(TEXTS)
    given = []

    def feedback():  # each later text is there only because an embedding came
        for number, text in enumerate(TEXTS):
            assert len(given) >= number - 8
            yield text

    given.extend(encoder.stream(feedback(), window_texts=4))
    np.testing.assert_allclose(given, expected, atol=1e-6)


def test_texts_that_are_done_are_let_go(fake_encoder):
    encoder, _ = fake_encoder()
    alive = weakref.WeakSet()

    class Text(str):
        __slots__ = ("__weakref__",)

    def texts():
        for number in range(200):
            text = Text(f"a {number}")
            alive.add(text)
            yield text

    most = 0
    for number, _ in enumerate(encoder.stream(texts(), window_texts=5)):
        if number % 17 == 0:  # with many libraries loaded it takes a quarter of a second
            gc.collect()
            most = max(most, len(alive))
    assert 0 < most <= 10  # two windows


def test_a_kept_embedding_does_not_keep_its_window(fake_encoder):
    encoder, _ = fake_encoder()
    assert next(encoder.stream(TEXTS)).base is None


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("at", [0, 1, 9, 10, 15, 25])
@pytest.mark.parametrize("streams", [1, 2])
def test_what_the_iterator_raises_comes_as_it_is_after_what_came_before(fake_encoder, at, streams):
    encoder, _ = fake_encoder(streams=streams)
    error = BrokenError("mine")

    def texts():
        yield from TEXTS[:at]
        raise error

    stream = encoder.stream(texts(), window_texts=10)
    found = list(itertools.islice(stream, at))
    with pytest.raises(BrokenError) as caught:
        next(stream)
    assert caught.value is error
    np.testing.assert_allclose(np.reshape(found, (at, 8)), encoder.encode(TEXTS[:at]), atol=1e-6)
    encoder.close()


def test_an_interruption_is_not_put_off(fake_encoder):
    encoder, engine = fake_encoder()

    def texts():
        yield "a"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(encoder.stream(texts()))
    assert engine.runs == []


@pytest.mark.parametrize(("item", "message"), [(None, r"texts\[13\] is None"), (b"x", r"texts\[13\] is a bytes")])
def test_a_wrong_item_is_named_with_its_place(fake_encoder, item, message):
    encoder, _ = fake_encoder()
    stream = encoder.stream([*TEXTS[:13], item, "never"], window_texts=5)
    assert len(list(itertools.islice(stream, 13))) == 13
    with pytest.raises(UsageError, match=message):
        next(stream)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": "one text"}, "texts is a str; expected an iterable of str"),
        ({"texts": 5}, "texts is an int"),
        ({"texts": {"a"}}, "texts is a set"),
        ({"texts": [], "window_texts": 0}, "window_texts is 0"),
        ({"texts": [], "prompt_name": "quarry"}, "no prompt 'quarry'"),
        ({"texts": [], "truncate_dim": 9}, "truncate_dim is 9"),
        ({"texts": [], "batch_tokens": True}, "batch_tokens is True"),
    ],
)
def test_a_wrong_argument_is_named_at_once(fake_encoder, arguments, message):
    encoder, _ = fake_encoder()
    with pytest.raises(UsageError, match=message):
        encoder.stream(**arguments)


def test_no_texts(fake_encoder):
    encoder, _ = fake_encoder()
    assert list(encoder.stream([])) == []


@pytest.mark.parametrize("streams", [1, 2])
def test_closing_it_early_stops_cleanly(fake_encoder, streams):
    encoder, engine = fake_encoder(streams=streams)
    reader = Reader(endless())
    stream = encoder.stream(reader, window_texts=10)
    next(stream)
    stream.close()
    taken, runs = reader.taken, len(engine.runs)
    assert list(stream) == []
    assert (reader.taken, len(engine.runs)) == (taken, runs)
    for thread in threading.enumerate():
        if thread.name.startswith("stonnx-ahead"):
            thread.join(timeout=30)
            assert not thread.is_alive()
    assert encoder.encode("hello").shape == (8,)
    encoder.close()


def test_an_engine_failure_comes_out_and_the_encoder_lives_on(fake_encoder):
    encoder, engine = fake_encoder(error=RunError("no"))
    with pytest.raises(RunError, match="no"):
        next(encoder.stream(endless()))
    engine.error = None
    assert len(list(encoder.stream(TEXTS))) == len(TEXTS)


@pytest.mark.parametrize("streams", [1, 2])
def test_a_failure_leaves_no_thread_behind_while_its_traceback_is_kept(fake_encoder, monkeypatch, streams):
    monkeypatch.setattr("stonnx.runtime.encoder.WINDOW_TEXTS", 2)
    encoder, _ = fake_encoder(streams=streams, error=RunError("no"))
    with pytest.raises(RunError) as encoded:
        encoder.encode(TEXTS)
    with pytest.raises(RunError) as streamed:
        next(encoder.stream(TEXTS, window_texts=2))
    for thread in threading.enumerate():
        if thread.name.startswith("stonnx-ahead"):
            thread.join(timeout=10)
            assert not thread.is_alive()
    assert encoded.value is streamed.value  # the engine's, kept until here
    encoder.close()


def test_a_closed_encoder(fake_encoder):
    encoder, _ = fake_encoder()
    stream = encoder.stream(TEXTS, window_texts=5)
    next(stream)
    encoder.close()
    with pytest.raises(UsageError, match="closed"):
        list(stream)
    with pytest.raises(UsageError, match="closed"):
        encoder.stream(TEXTS)


def test_others_get_their_turn_while_embeddings_are_looked_at(fake_encoder):
    encoder, _ = fake_encoder()
    stream = encoder.stream(endless(), window_texts=3)
    next(stream)
    found = []
    other = threading.Thread(target=lambda: found.append(encoder.encode("hello")))
    other.start()
    other.join(timeout=30)
    assert len(found) == 1


def test_windows_of_a_list():
    assert list(windows_of([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(windows_of([], 2)) == []
