from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.errors import RunError, UsageError
from stonnx.runtime import usable_cores
from stonnx.runtime.batching import DEFAULT_BATCH_TOKENS
from stonnx.runtime.streams import RunSettings, Workers, map_ahead, run_settings

TEXTS = [f"{'of and to '[: i % 9]}{'world ' * (i % 14)}{i}" for i in range(60)]
TUNED = RunSettings(threads=6, streams=3, batch_tokens=512)


def settings(threads=None, streams=None, batch_tokens=None, tuned=None):
    return run_settings(threads=threads, streams=streams, batch_tokens=batch_tokens, tuned=tuned)


def test_static_settings():
    cores = usable_cores()
    assert settings() == RunSettings(threads=cores, streams=cores, batch_tokens=DEFAULT_BATCH_TOKENS, by_call=cores > 1)


def test_one_thread_leaves_nothing_to_choose():
    assert settings(threads=1) == RunSettings(threads=1)


@pytest.mark.parametrize(
    ("given", "text"), [({"threads": 4}, "4 threads by call"), ({"threads": 4, "streams": 2}, "2 x 2 threads")]
)
def test_what_people_read_of_settings(given, text):
    assert settings(**given).runs_text == text


def test_a_run_by_call_may_have_all_threads():
    assert settings(threads=7).threads_per_run == 7


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, TUNED),
        ({"batch_tokens": 99}, RunSettings(threads=6, streams=3, batch_tokens=99)),
        ({"threads": 2}, RunSettings(threads=2, streams=2, batch_tokens=512, by_call=True)),
        ({"threads": np.int64(8), "streams": 4}, RunSettings(threads=8, streams=4, batch_tokens=512)),
        ({"streams": 1}, RunSettings(threads=usable_cores(), streams=1, batch_tokens=512)),
    ],
)
def test_what_the_caller_says_wins_over_what_was_tuned(given, expected):
    assert settings(**given, tuned=TUNED) == expected


def test_threads_are_shared_among_streams():
    assert settings(threads=7, streams=3).threads_per_run == 2


@pytest.mark.parametrize("name", ["threads", "streams", "batch_tokens"])
@pytest.mark.parametrize("bad", [0, -1, 1.0, True, "2"])
def test_settings_out_of_range(name, bad):
    with pytest.raises(UsageError, match=f"{name} is"):
        settings(**{name: bad})


def test_more_streams_than_threads():
    with pytest.raises(UsageError, match=r"streams is 3, and threads is 2(.|\n)*streams=2 or less, or threads=3"):
        settings(threads=2, streams=3)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_job_once(count):
    workers = Workers(count, owner="Encoder")
    assert sorted(workers.run(lambda n: n * n, iter(range(200)))) == [n * n for n in range(200)]
    assert list(workers.run(lambda n: n, iter(()))) == []
    workers.close()
    workers.close()


def test_one_worker_is_the_calling_thread():
    assert set(Workers(1, owner="Encoder").run(lambda _: threading.get_ident(), iter(range(3)))) == {
        threading.get_ident()
    }


def test_as_many_at_a_time_as_there_are_workers_whoever_asks():
    workers = Workers(3, owner="Encoder")
    lock, running, most = threading.Lock(), 0, 0
    together = threading.Barrier(3)

    def job(n):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if n < 3:
            together.wait(timeout=30)  # would break if fewer than three ran at once
        with lock:
            running -= 1
        return n

    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(lambda: sorted(workers.run(job, iter(range(30)))))
        second = callers.submit(lambda: sorted(workers.run(job, iter(range(3, 30)))))
        assert first.result() == list(range(30))
        assert second.result() == list(range(3, 30))
    assert most == 3
    workers.close()


def test_jobs_are_drawn_when_there_is_room_for_them():
    workers = Workers(2, owner="Encoder")
    drawn = []
    results = workers.run(lambda n: n, (drawn.append(n) or n for n in range(100)))
    next(results)
    assert len(drawn) <= 4
    results.close()
    assert len(drawn) <= 4
    workers.close()


@pytest.mark.parametrize("error", [RunError("no"), KeyboardInterrupt(), MemoryError()])
def test_an_error_comes_as_it_is_and_ends_the_rest(error):
    workers = Workers(2, owner="Encoder")
    begun = []
    gate = threading.Event()

    def job(n):
        begun.append(n)
        if n == 0:
            raise error
        gate.wait(timeout=30)

    def jobs():
        yield 0
        yield 1
        gate.set()
        yield from range(2, 100)

    with pytest.raises(type(error)) as caught:
        list(workers.run(job, jobs()))
    assert caught.value is error
    assert len(begun) < 10
    assert list(workers.run(lambda n: n, iter([7]))) == [7]
    workers.close()


def test_an_interrupted_caller_waits_for_what_runs_and_gives_up_the_rest():
    workers = Workers(2, owner="Encoder")
    finished = []
    results = workers.run(finished.append, iter(range(100)))
    next(results)
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())
    count = len(finished)
    assert count < 100
    assert list(workers.run(lambda n: n, iter([7]))) == [7]  # a round through the same threads
    assert len(finished) == count
    workers.close()


def test_closed_workers():
    workers = Workers(2, owner="Encoder")
    workers.close()
    with pytest.raises(UsageError, match="closed"):
        list(workers.run(lambda n: n, iter([7])))


def test_threads_that_cannot_be_started(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RunError, match="can't start new thread"):
        list(Workers(2, owner="Encoder").run(lambda n: n, iter([7])))


def test_dropped_workers_leave_no_threads():
    before = threading.active_count()
    workers = Workers(3, owner="Encoder")
    list(workers.run(lambda n: n, iter(range(9))))
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("stonnx-stream")]
    assert threads
    del workers
    gc.collect()
    for thread in threads:
        thread.join(timeout=30)
    assert threading.active_count() <= before


@pytest.mark.parametrize("variant", ["fp32", "portable"])
@pytest.mark.parametrize("streams", [2, 3])
def test_streams_do_not_show(fake_encoder, variant, streams):
    single, _ = fake_encoder(variant)
    several, engine = fake_encoder(variant, streams=streams)
    np.testing.assert_allclose(several.encode(TEXTS), single.encode(TEXTS), atol=1e-6)
    assert len(engine.runs) > 1
    np.testing.assert_array_equal(several.encode("hello"), single.encode("hello"))
    several.close()


def test_few_texts_are_shared_among_streams(fake_encoder):
    several, engine = fake_encoder(streams=2)
    several.encode(["of and to in is"] * 40)  # 280 tokens: far below the budget
    assert [feeds["input_ids"].shape for feeds in engine.runs] == [(20, 7), (20, 7)]
    engine.runs.clear()
    several.encode(["of and"] * 4)
    assert len(engine.runs) == 1  # not worth sharing
    several.close()


def test_an_engine_failure_in_a_stream(fake_encoder):
    encoder, engine = fake_encoder(streams=2, error=RunError("no"))
    with pytest.raises(RunError, match="no"):
        encoder.encode(TEXTS, batch_tokens=16)
    engine.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        encoder.encode(TEXTS, batch_tokens=16, show_progress=True)
    engine.error = None
    assert encoder.encode(TEXTS).shape == (len(TEXTS), 8)
    encoder.close()
    with pytest.raises(UsageError, match="closed"):
        encoder.encode(TEXTS)


def test_several_callers_share_the_streams(fake_encoder):
    encoder, _ = fake_encoder(streams=2)
    lists = [[f"{'ab'[i % 2]} " * (1 + i % 13) + str(i * k) for i in range(60)] for k in range(1, 5)]
    expected = [encoder.encode(texts) for texts in lists]
    with ThreadPoolExecutor(len(lists)) as pool:
        for _ in range(3):
            for want, got in zip(expected, pool.map(encoder.encode, lists), strict=True):
                np.testing.assert_allclose(got, want, atol=1e-6)
    encoder.close()


def test_load_with_streams(make_artifact):
    pytest.importorskip("onnxruntime")
    artifact = make_artifact()
    with Encoder.load(artifact, threads=1) as encoder:
        expected = encoder.encode(TEXTS)
        assert (encoder.streams, encoder.batch_tokens) == (1, DEFAULT_BATCH_TOKENS)
    with Encoder.load(artifact, threads=2, streams=2, batch_tokens=20) as encoder:
        assert (encoder.threads, encoder.streams, encoder.batch_tokens) == (2, 2, 20)
        assert "threads=2, streams=2" in repr(encoder)
        np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-6)
        np.testing.assert_allclose(encoder.encode(TEXTS, batch_tokens=500), expected, atol=1e-6)
    with pytest.raises(UsageError, match="streams is 3"):
        Encoder.load(artifact, threads=2, streams=3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_starts_streams_of_its_own(make_artifact):
    pytest.importorskip("onnxruntime")
    program = f"""
import os, signal
import numpy as np
from stonnx import Encoder
encoder = Encoder.load({str(make_artifact().path)!r}, threads=2, streams=2)
texts = ["hello", "of and to", "in"] * 50
expected = encoder.encode(texts, batch_tokens=8)
child = os.fork()
signal.alarm(60)  # instead of hanging for ever
same = np.allclose(encoder.encode(texts, batch_tokens=8), expected)
if child == 0:
    os._exit(0 if same else 3)
assert same
assert os.waitpid(child, 0)[1] == 0
"""
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": ""}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ahead_the_results_are_the_same():
    for items in (range(5), range(2), range(1), ()):
        assert list(map_ahead(lambda n: n * n, iter(items))) == [n * n for n in items]
    assert list(map_ahead(lambda n: n, [None, 0, None])) == [None, 0, None]


def test_ahead_one_result_is_made_in_another_thread_and_no_more():
    drawn, made = [], []
    second = threading.Event()

    def make(number):
        made.append((number, threading.get_ident()))
        if number == 1:
            second.set()
        return number

    ahead = map_ahead(make, (drawn.append(threading.get_ident()) or n for n in range(5)))
    assert next(ahead) == 0
    assert second.wait(timeout=30)  # made although nobody asked
    assert [number for number, _ in made] == [0, 1]
    assert threading.get_ident() not in {thread for _, thread in made}
    assert drawn == [threading.get_ident()] * 2  # the caller's own iterator stays in the caller's thread
    ahead.close()
    assert len(made) == len(drawn) == 2


def test_a_single_item_needs_no_thread():
    assert list(map_ahead(lambda _: threading.get_ident(), [0])) == [threading.get_ident()]


def test_ahead_a_failure_comes_in_its_place():
    def make(number):
        if number == 2:
            raise RunError("no")
        return number

    ahead = map_ahead(make, range(4))
    assert [next(ahead), next(ahead)] == [0, 1]
    with pytest.raises(RunError, match="no"):
        next(ahead)


@pytest.mark.parametrize("streams", [1, 2])
def test_windows_do_not_show_in_streams(fake_encoder, monkeypatch, streams):
    encoder, _ = fake_encoder(streams=streams)
    whole = encoder.encode(TEXTS)
    monkeypatch.setattr("stonnx.runtime.encoder.WINDOW_TEXTS", 7)
    np.testing.assert_allclose(encoder.encode(TEXTS), whole, atol=1e-6)
    assert encoder.truncated_texts % 2 == 0
    assert encoder.truncated_texts > 0
    encoder.close()


def test_auto_takes_what_was_tuned_and_explicit_arguments_win(make_artifact, monkeypatch):
    pytest.importorskip("onnxruntime")
    settings = RunSettings(threads=2, streams=2, batch_tokens=77)
    tuned = SimpleNamespace(variant="portable", settings=settings)
    monkeypatch.setattr("stonnx.runtime.choice.read_choice", lambda artifact: tuned)
    artifact = make_artifact()

    def loaded(**arguments):
        with Encoder.load(artifact, **arguments) as encoder:
            return encoder.variant.name, encoder.threads, encoder.streams, encoder.batch_tokens

    assert loaded() == ("portable", 2, 2, 77)
    assert loaded(batch_tokens=9) == ("portable", 2, 2, 9)
    assert loaded(threads=1) == ("portable", 1, 1, 77)
    assert loaded(variant="fp32", threads=1) == ("fp32", 1, 1, DEFAULT_BATCH_TOKENS)
