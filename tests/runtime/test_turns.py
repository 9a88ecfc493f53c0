"""One engine run at a time where one was asked for, whoever calls, in the order of arrival."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stonnx.errors import RunError
from stonnx.runtime.streams import Workers
from stonnx.runtime.turns import Turns


def wait_until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_callers_of_one_stream_take_turns(fake_encoder):
    encoder, engine = fake_encoder()
    run, most, running, lock = engine.run, 0, 0, threading.Lock()

    def counted(feeds, outputs):
        nonlocal most, running
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        try:
            return run(feeds, outputs)
        finally:
            with lock:
                running -= 1

    engine.run = counted
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: encoder.encode(["a b", "c", "of and to"], batch_tokens=4), range(12)))
    assert (most, running) == (1, 0)


def test_turns_come_in_the_order_of_arrival():
    turns, served = Turns(), []

    def caller(name):
        for _ in range(3):
            with turns:
                served.append(name)
                # The others are waiting before this one asks again.
                wait_until(lambda: len(turns._waiting) >= 2 or len(served) > 5)

    callers = []
    with turns:
        for name in "abc":
            callers.append(threading.Thread(target=caller, args=(name,)))
            callers[-1].start()
            wait_until(lambda: len(turns._waiting) == len(callers))
    for thread in callers:
        thread.join(timeout=30)
    assert served[:6] == list("abcabc")
    assert sorted(served) == list("aaabbbccc")


def test_a_caller_that_stops_early_or_fails_holds_nobody_up():
    workers = Workers(1, owner="Encoder")
    unfinished = workers.run(lambda n: n, iter(range(10)))
    assert next(unfinished) == 0  # and it is never asked again

    def fail(_):
        raise RunError("no")

    with pytest.raises(RunError, match="no"):
        list(workers.run(fail, iter([1])))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: list(workers.run(lambda n: n, iter([7])))).result(timeout=30) == [7]


@pytest.mark.parametrize("handed_over", [False, True])
def test_one_who_is_interrupted_while_waiting_passes_the_turn_on(monkeypatch, handed_over):
    turns = Turns()
    turns.__enter__()

    class Interrupted:
        """A lock whose second taker is interrupted, before or after the turn was handed to it."""

        def __init__(self):
            self.taken = 0

        def acquire(self):
            self.taken += 1
            if self.taken == 2:
                if handed_over:
                    turns.__exit__()
                raise KeyboardInterrupt

        def release(self):
            pass

    monkeypatch.setattr("stonnx.runtime.turns.threading.Lock", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        turns.__enter__()
    if not handed_over:
        turns.__exit__()
    assert (turns._free, len(turns._waiting)) == (1, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_turn_that_was_held_at_a_fork_does_not_hang_the_child():
    workers, begun, go_on = Workers(1, owner="Encoder"), threading.Event(), threading.Event()

    def job(_):
        begun.set()
        go_on.wait(timeout=30)

    holder = threading.Thread(target=lambda: list(workers.run(job, iter([1]))))
    holder.start()
    assert begun.wait(timeout=30)
    child = os.fork()
    if child == 0:
        import signal

        signal.alarm(20)
        os._exit(0 if list(workers.run(lambda n: n, iter([7]))) == [7] else 3)
    go_on.set()
    holder.join(timeout=30)
    assert os.waitpid(child, 0)[1] == 0
