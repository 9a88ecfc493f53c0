from __future__ import annotations

import numpy as np
import pytest
from peers.catalog import BASELINE, PEERS, Side
from peers.measure import Entry, turn_order
from peers.results import fidelity, latency, throughput


def test_ratio_is_the_median_over_common_turns() -> None:
    original = {(0, 0): [4.0], (0, 1): [6.0], (1, 0): [9.0]}
    mine = {(0, 0): [2.0], (0, 1): [2.0], (1, 0): [1.0], (1, 1): [5.0]}
    found = throughput(mine, original, [10, 20])
    assert found["ratio"] == 3.0
    assert (found["ratio_low"], found["ratio_high"]) == (2.0, 9.0)
    assert found["texts_per_second"] == pytest.approx(60 / 10)


def test_no_ratio_without_the_original() -> None:
    assert "ratio" not in throughput({(0, 0): [2.0]}, {}, [10])


def test_latency_compares_the_same_turns_in_milliseconds() -> None:
    found = latency({(0, 0): [0.001, 0.003, 0.002]}, {(0, 0): [0.004], (7, 7): [1.0]})
    assert found["p50_ms"] == pytest.approx(2.0)
    assert found["ratio"] == pytest.approx(2.0)
    assert found["p99_ms"] == pytest.approx(3.0, rel=0.02)


def test_fidelity_knows_its_class() -> None:
    rng = np.random.default_rng(1)
    original = [rng.standard_normal((20, 8)).astype(np.float32) for _ in range(2)]
    same = fidelity(original, original)
    assert same is not None
    assert (same["class"], same["texts"]) == ("lossless", 40)
    other = fidelity([part[::-1] for part in original], original)
    assert other is not None
    assert other["class"] is None


def test_fidelity_of_another_shape_is_none() -> None:
    assert fidelity([np.ones((3, 4), np.float32)], [np.ones((3, 5), np.float32)]) is None


def test_every_side_is_first_once() -> None:
    entries = [Entry(side=Side(key=key, title=key, env="", backend="x")) for key in "abcd"]
    firsts = [turn_order(entries, turn)[0].side.key for turn in range(8)]
    assert set(firsts) == set("abcd")
    assert sorted(entry.side.key for entry in turn_order(entries, 5)) == list("abcd")


def test_keys_are_unique_and_the_original_is_there() -> None:
    keys = [side.key for side in PEERS]
    assert len(set(keys)) == len(keys)
    assert BASELINE in keys
