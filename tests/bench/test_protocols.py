from __future__ import annotations

from collections import Counter

import pytest

from stonnx.bench.choose import CLASSIC_TEXT
from stonnx.bench.protocols import protocols, run_protocol
from stonnx.bench.report import Latency

TEXTS = tuple(f"text {number} " + "word " * (number % 40) for number in range(200))


def _protocol(name: str, *, quick: bool = False):
    return next(protocol for protocol in protocols(TEXTS, quick=quick) if protocol.name == name)


def _measured(run, protocol, *, passes: int = 2) -> list[tuple[str, tuple[str, ...]]]:
    """The calls behind the warm-up, which makes up to two passes on both sides."""
    size = protocol.batch or protocol.warm_up
    return run.calls[2 * passes * -(-protocol.warm_up // size) :]


def test_classic_is_a_thousand_copies_of_the_sentence_32_a_call(run):
    protocol = _protocol("classic")
    result = run_protocol(protocol, run.sides(0.001, 0.002), budget_s=60, clock=run.clock)
    first = [texts for name, texts in _measured(run, protocol) if name == "a"][:32]
    assert [len(texts) for texts in first] == [32] * 31 + [8]
    assert {text for texts in first for text in texts} == {CLASSIC_TEXT}
    assert (result.texts, result.unit) == (1000, "s/text")
    assert result.a == pytest.approx(0.001)
    assert result.b == pytest.approx(0.002)
    assert result.ratio == pytest.approx(2.0)


def test_classic_keeps_its_thousand_copies_when_time_is_short(run):
    protocol = _protocol("classic")
    result = run_protocol(protocol, run.sides(0.1, 0.1), budget_s=1, clock=run.clock)
    assert (result.texts, result.rounds) == (250, 4)
    for name in "ab":
        measured = _measured(run, protocol, passes=1)
        assert sum(len(texts) for side, texts in measured if side == name) == 1000


def test_quick_classic_encodes_fewer_and_says_how_many(run):
    protocol = _protocol("classic", quick=True)
    result = run_protocol(protocol, run.sides(0.01, 0.01), budget_s=7, clock=run.clock)
    assert result.rounds == 3
    assert 32 <= result.texts < 250
    copies = sum(len(texts) for side, texts in _measured(run, protocol) if side == "a")
    assert copies == result.texts * result.rounds


def test_realistic_is_one_call_of_distinct_texts(run):
    protocol = _protocol("realistic")
    result = run_protocol(protocol, run.sides(0.001, 0.003), budget_s=60, clock=run.clock)
    calls = [texts for _, texts in _measured(run, protocol)]
    assert set(calls) == {TEXTS}
    assert result.unit == "texts/s"
    assert result.a == pytest.approx(1000)
    assert result.b == pytest.approx(1000 / 3)
    assert result.ratio == pytest.approx(3.0)


def test_latency_is_one_short_text_a_call(run):
    protocol = _protocol("latency")
    result = run_protocol(protocol, run.sides(0.002, 0.008), budget_s=60, clock=run.clock)
    calls = _measured(run, protocol)
    assert all(len(texts) == 1 for _, texts in calls)
    assert all(len(texts[0].encode()) <= 96 for _, texts in calls)
    per_round = Counter(texts for name, texts in calls if name == "a")
    assert len(per_round) == result.texts == 50
    assert isinstance(result.a, Latency)
    assert isinstance(result.b, Latency)
    assert result.a.p50 == pytest.approx(2.0)
    assert result.b.p95 == pytest.approx(8.0)
    assert result.ratio == pytest.approx(4.0)


def test_the_warm_up_does_not_count(run):
    slow_calls = iter([3.0, 3.0])  # the first call of either side
    sides = run.sides(0, 0)
    sides = type(sides)(
        a=run.side("a", lambda texts: next(slow_calls, 0.001 * len(texts))),
        b=run.side("b", lambda texts: next(slow_calls, 0.001 * len(texts))),
        variant="v",
        threads=1,
        streams=1,
    )
    result = run_protocol(_protocol("realistic"), sides, budget_s=60, clock=run.clock)
    assert result.a == pytest.approx(1000)
    assert result.ratio_high == pytest.approx(1.0)


@pytest.mark.parametrize(("budget", "passes"), [(60, 2), (1, 1)])
def test_a_dear_warm_up_is_made_once(run, budget, passes):
    protocol = _protocol("realistic")
    run_protocol(protocol, run.sides(0.01, 0.01), budget_s=budget, clock=run.clock)
    warm_up = [texts for _, texts in run.calls if len(texts) == protocol.warm_up]
    assert len(warm_up) == 2 * passes


def test_ratio_and_its_spread_come_from_the_rounds(run):
    protocol = _protocol("realistic")
    costs = iter([0.002, 0.004, 0.003])

    def b_seconds(texts):
        return 0.001 * len(texts) if len(texts) <= protocol.warm_up else next(costs) * len(texts)

    sides = run.sides(0, 0)
    sides = type(sides)(
        a=run.side("a", lambda texts: 0.001 * len(texts)), b=run.side("b", b_seconds), variant="v", threads=1, streams=1
    )
    result = run_protocol(protocol, sides, budget_s=1.5, clock=run.clock)
    assert result.rounds == 3
    assert (result.ratio_low, result.ratio, result.ratio_high) == pytest.approx((2, 3, 4))


@pytest.mark.parametrize("name", ["classic", "realistic", "latency"])
def test_progress_rises_to_the_total(run, name):
    seen: list[tuple[str, int, int]] = []
    run_protocol(
        _protocol(name),
        run.sides(0.01, 0.02),
        budget_s=20,
        clock=run.clock,
        on_progress=lambda *args: seen.append(args),
    )
    assert {entry[0] for entry in seen} == {name}
    assert len({total for _, _, total in seen}) == 1
    done = [count for _, count, _ in seen]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == seen[-1][2]


def test_progress_ends_at_the_total_when_the_time_is_up_early(run):
    seen: list[tuple[str, int, int]] = []
    costs = iter([0.001, 0.001, 0.001, 0.001])  # warm-up, cheap; the rounds are dear
    sides = run.sides(0, 0)
    sides = type(sides)(
        a=run.side("a", lambda texts: next(costs, 0.1) * len(texts)),
        b=run.side("b", lambda texts: next(costs, 0.1) * len(texts)),
        variant="v",
        threads=1,
        streams=1,
    )
    result = run_protocol(
        _protocol("realistic"), sides, budget_s=10, clock=run.clock, on_progress=lambda *args: seen.append(args)
    )
    assert result.rounds == 3
    assert seen[-1][1] == seen[-1][2] == 2 * 15 * len(TEXTS)
