"""The estimate of the time left: from the parts that are done, and not before they tell anything."""

from __future__ import annotations

import pytest

from stonnx.cli import _progress
from stonnx.cli._console import Output
from stonnx.cli._progress import _Current
from stonnx.cli._time_left import TimeLeft, left_text


def after(*ends, total, start=0.0):
    """A step of ``total`` parts of which the first ended at these times."""
    left = TimeLeft(now=start)
    for done, end in enumerate(ends, 1):
        left.part(done, total, end)
    return left


def test_equal_parts_give_what_is_left_and_it_runs_down():
    left = after(2.0, 4.0, 6.0, total=12)
    assert left.parts == (3, 12)
    assert left.seconds(6.0) == pytest.approx(18)
    assert left.seconds(7.5) == pytest.approx(16.5)
    assert left.seconds(100.0) == 0


@pytest.mark.parametrize(
    "left",
    [
        TimeLeft(now=5.0),  # no parts
        after(3.0, total=12),  # the first one tells nothing: what a step does once is in it
        after(0.4, 0.8, 1.2, total=12),  # too early
        after(2.0, 4.0, total=2),  # over
    ],
)
def test_nothing_is_said_before_or_after_it_is_known(left):
    assert left.seconds(6.0) is None


def test_the_estimate_follows_a_machine_that_slows_down():
    quick = after(*(float(n) for n in range(1, 11)), total=40)
    assert quick.seconds(10.0) == pytest.approx(30)
    for done in range(11, 21):
        quick.part(done, 40, 10 + 3.0 * (done - 10))
    assert 55 < quick.seconds(40.0) <= 60  # 20 parts: of three seconds, as the last ten, not of two, as all of them


def test_parts_that_come_together_count_as_one_stretch():
    left = TimeLeft(now=0.0)
    left.part(4, 8, 4.0)
    assert left.seconds(4.0) == pytest.approx(4)


def test_other_parts_begin_anew():
    left = after(2.0, 4.0, total=12)
    left.part(1, 30, 5.0)
    assert (left.parts, left.seconds(5.0)) == ((1, 30), None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "about 1 s left"), (7.4, "about 7 s left"), (12.4, "about 10 s left"), (88.0, "about 90 s left"),
     (100.0, "about 2 min left"), (700.0, "about 12 min left")],
)  # fmt: skip
def test_no_finer_than_it_is_known(seconds, text):
    assert left_text(seconds) == text


def test_the_line_fits_into_eighty_columns(monkeypatch):
    step = "watching the inputs of every layer on the calibration texts and much else"
    left = after(100.0, 200.0, total=120)
    monkeypatch.setattr(_progress.time, "perf_counter", lambda: 200.0)
    line = _Current(step, left).__rich__()
    assert line.endswith("…  2 of 120, about 197 min left")
    assert len(line) == 78
    assert _Current("short", after(100.0, 200.0, total=12)).__rich__() == "short  2 of 12, about 17 min left"
    assert _Current("short", TimeLeft(now=0.0)).__rich__() == "short"


def test_a_terminal_shows_the_parts(capsys, terminal, monkeypatch):
    now = iter(float(n) for n in range(0, 10_000, 3))
    monkeypatch.setattr(_progress.time, "perf_counter", lambda: next(now))
    with Output().steps() as steps:
        steps("quantising to int8")
        for done in range(1, 4):
            steps.part(done, 48)
        steps._status._live.refresh()
    assert "quantising to int8  3 of 48, about" in capsys.readouterr().err


def test_elsewhere_parts_are_not_told(capsys):
    with Output().steps() as steps:
        steps("quantising to int8")
        for done in range(1, 4):
            steps.part(done, 48)
    assert capsys.readouterr() == ("", "  quantising to int8\n")
