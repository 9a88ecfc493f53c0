"""Loaded without a word about streams: who runs what where, and never more at once than there are threads."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.errors import RunError, UsageError
from stonnx.runtime import pipeline
from stonnx.runtime.engines import _onnxruntime_async, open_engine
from stonnx.runtime.engines._onnxruntime_async import run_on_its_thread
from stonnx.runtime.engines.onnxruntime import OnnxRuntimeEngine
from stonnx.runtime.fitting import Planned
from stonnx.runtime.pipeline import Pipeline
from stonnx.runtime.streams import RunSettings
from stonnx.runtime.tokenize import TextTokenizer
from stonnx.testing import FakeEngine

pytest.importorskip("onnxruntime")

MANY = [f"{'of and to in is '[: i % 16]}{i}" for i in range(200)]
OUTPUTS = ["sentence_embedding"]


class Watched(FakeEngine):
    """Notes the threads that run it, how many do at a time, and with how many rows."""

    def __init__(self, **options):
        super().__init__(**options)
        self.threads, self.running, self.most, self.lock = [], 0, 0, threading.Lock()

    def run(self, feeds, outputs):
        with self.lock:
            self.threads.append(threading.get_ident())
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.001)
        try:
            return super().run(feeds, outputs)
        finally:
            with self.lock:
                self.running -= 1


@pytest.fixture
def watched(make_artifact):
    """An encoder by call with so many threads, on a watched engine."""

    def make(threads=2, *, shares_threads=True, batch_tokens=1024):
        artifact, engine = make_artifact(), Watched(shares_threads=shares_threads)
        spec = artifact.manifest.tower.tokenizer
        opened = Pipeline(
            artifact,
            variant=artifact.variant("fp32"),
            engine=engine,
            tokenizer=TextTokenizer(artifact.file(spec.file), max_tokens=spec.max_tokens),
            settings=RunSettings(threads=threads, streams=threads, batch_tokens=batch_tokens, by_call=True),
        )
        return Encoder(opened), engine

    return make


def feeds(rows=3, tokens=4):
    return {"input_ids": np.arange(rows * tokens, dtype=np.int64).reshape(rows, tokens) % 20}


def test_one_text_runs_in_the_calling_thread(watched):
    encoder, engine = watched()
    encoder.encode("hello")
    assert engine.threads == [threading.get_ident()]


def test_many_texts_run_side_by_side_and_come_out_the_same(watched):
    encoder, engine = watched()
    texts = MANY * 10
    vectors = encoder.encode(texts)
    assert engine.most == 2
    assert threading.get_ident() not in engine.threads
    alone = np.stack([encoder.encode(text) for text in MANY])
    np.testing.assert_allclose(vectors[: len(MANY)], alone, atol=1e-6)


def test_an_engine_that_cannot_share_runs_one_at_a_time(watched):
    encoder, engine = watched(shares_threads=False)
    assert (encoder.streams, encoder.settings.by_call) == (1, False)
    encoder.encode(MANY)
    assert (engine.most, set(engine.threads)) == (1, {threading.get_ident()})


@pytest.mark.parametrize("threads", [2, 3])
def test_callers_together_run_no_more_at_once_than_there_are_threads(watched, threads):
    encoder, engine = watched(threads)
    calls = [MANY * 5, "hello", "of and to", MANY[:3], "in", MANY[:50]] * 4
    with ThreadPoolExecutor(8) as callers:
        for call, found in zip(calls, callers.map(encoder.encode, calls), strict=True):
            assert np.isfinite(found).all()
            assert found.shape[0] == (8 if isinstance(call, str) else len(call))
    assert 1 < engine.most <= threads
    assert engine.running == 0


def test_single_texts_that_want_all_threads_take_turns(watched):
    encoder, engine = watched()
    with ThreadPoolExecutor(6) as callers:
        list(callers.map(encoder.encode, ["hello"] * 30))
    assert engine.most == 1


@pytest.mark.parametrize("way", ["here", "alone"])
def test_only_runs_that_lose_nothing_beside_others_go_beside_them(watched, monkeypatch, way):
    encoder, engine = watched()
    monkeypatch.setattr(pipeline, "fit_plan", lambda make, **_: Planned(make(1), way))
    met = []

    def meet(feeds, outputs):
        try:
            together.wait(timeout=30 if way == "here" else 0.3)
            met.append(True)
        except threading.BrokenBarrierError:
            met.append(False)
        return honest(feeds, outputs)

    honest, engine.run = engine.run, meet
    together = threading.Barrier(2)
    with ThreadPoolExecutor(2) as callers:
        list(callers.map(encoder.encode, ["hello", "hello"]))
    assert met == [way == "here"] * 2


def test_each_window_of_a_call_has_its_own_way(watched):
    encoder, engine = watched()
    me, opened = threading.get_ident(), encoder._pipeline
    numbers = []
    for found in opened.run(opened.text_windows([MANY * 5, ["hello"], MANY * 5]), outputs=OUTPUTS):
        numbers.extend(found.numbers.tolist())
    assert sorted(numbers) == list(range(10 * len(MANY) + 1))
    assert engine.threads.count(me) == 1
    assert (engine.most, engine.running) == (2, 0)


def test_pickled_it_still_decides_by_call(make_artifact):
    with Encoder.load(make_artifact(), threads=3) as encoder:
        again = pickle.loads(pickle.dumps(encoder))  # noqa: S301 - our own bytes
    assert (again.settings, again.engine.shares_threads) == (encoder.settings, True)
    again.close()


@pytest.mark.parametrize(("options", "shares"), [({}, True), ({"streams": 2}, False), ({"streams": 1}, False)])
def test_what_was_asked_for_is_opened(make_artifact, options, shares):
    with Encoder.load(make_artifact(), threads=2, **options) as encoder:
        assert (encoder.engine.shares_threads, encoder.settings.by_call) == (shares, shares)
        assert encoder.streams == options.get("streams", 2)


@pytest.mark.parametrize("threads", [2, 4, 8])
def test_runs_that_share_one_session_give_what_each_gives_alone(make_artifact, threads):
    artifact = make_artifact()
    engine = open_engine(artifact.variant("fp32"), artifact, threads=threads, shared=True)
    plain = open_engine(artifact.variant("fp32"), artifact, threads=1)
    assert (engine.shares_threads, plain.shares_threads) == (True, False)
    asked = [feeds(1 + number % 7, 1 + number % 5) for number in range(300)]
    with ThreadPoolExecutor(2 * threads) as pool:
        found = list(pool.map(lambda each: engine.run(each, OUTPUTS)[0], asked))
    for each, vectors in zip(asked, found, strict=True):
        np.testing.assert_allclose(vectors, plain.run(each, OUTPUTS)[0], atol=1e-6)
    engine.close()


@pytest.fixture
def beside(make_artifact):
    """An engine of two threads, one of which is taken: what it runs goes to a thread of its own."""
    artifact = make_artifact()
    engine = open_engine(artifact.variant("fp32"), artifact, threads=2, shared=True)
    assert isinstance(engine, OnnxRuntimeEngine)
    with engine._lead:
        yield engine


def test_a_run_beside_another_gives_the_same(beside, make_artifact):
    artifact = make_artifact()
    expected = open_engine(artifact.variant("fp32"), artifact, threads=1).run(feeds(), OUTPUTS)[0]
    np.testing.assert_allclose(beside.run(feeds(), OUTPUTS)[0], expected, atol=1e-6)


def test_an_interrupted_caller_waits_for_its_run_beside_another():
    finished = threading.Event()

    class Slow:
        """A session whose run takes a while, and whose caller is interrupted meanwhile."""

        def run_async(self, outputs, arrays, callback, asked, options):
            def work():
                time.sleep(0.2)  # the caller waits by now
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                time.sleep(0.05)
                finished.set()
                callback([], asked, "")

            threading.Thread(target=work).start()

    with pytest.raises(KeyboardInterrupt):
        run_on_its_thread(Slow(), feeds(), OUTPUTS, None)
    assert finished.is_set()


def test_an_interrupted_caller_that_is_interrupted_again_leaves_the_session_to_nobody(monkeypatch):
    kept = []
    monkeypatch.setattr(_onnxruntime_async, "keep_for_good", kept.append)

    class Impatient:
        """A session whose caller is interrupted twice while it runs."""

        def run_async(self, outputs, arrays, callback, asked, options):
            def work():
                for _ in range(2):
                    time.sleep(0.1)
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                time.sleep(0.1)
                callback([], asked, "")

            threading.Thread(target=work).start()

    session = Impatient()
    with pytest.raises(KeyboardInterrupt):
        run_on_its_thread(session, feeds(), OUTPUTS, None)
    assert kept == [session]


def test_a_caller_goes_on_once_the_thread_beside_has_left_python():
    left = threading.Event()

    class Lingering:
        """A session whose thread is not done with Python when it has told what it found."""

        def run_async(self, outputs, arrays, callback, asked, options):
            def work(asked):
                callback([arrays["input_ids"]], asked, "")
                time.sleep(0.1)
                left.set()

            threading.Thread(target=work, args=(asked,)).start()

    run_on_its_thread(Lingering(), feeds(), OUTPUTS, None)
    assert left.is_set()  # else that thread may be the last to hold a session that is closed now


@pytest.mark.parametrize("ids", [np.array([[10**6]]), np.array([[1.5]])])  # found while it runs, and at once
def test_a_run_beside_another_that_fails_says_so(beside, ids):
    with pytest.raises(RunError, match=r"ONNX Runtime .* failed on a batch"):
        beside.run({"input_ids": ids}, OUTPUTS)
    assert len(beside.run(feeds(), OUTPUTS)[0]) == 3  # and goes on


def test_closing_while_runs_are_in_flight_ends_every_caller(make_artifact):
    encoder, begun = Encoder.load(make_artifact(), threads=2), threading.Barrier(4)

    def call(texts):
        encoder.encode(texts)
        begun.wait(timeout=30)
        while True:
            try:
                assert np.isfinite(encoder.encode(texts)).all()
            except UsageError as exc:
                return exc.message

    with ThreadPoolExecutor(3) as callers:
        told = [callers.submit(call, texts) for texts in (MANY * 5, MANY * 5, "hello")]
        begun.wait(timeout=30)
        time.sleep(0.02)
        encoder.close()
        for each in told:
            assert each.result(timeout=30) == "This encoder is closed."
