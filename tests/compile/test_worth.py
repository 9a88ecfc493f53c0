"""``int8-fast`` stays only where it is faster: the rule with a clock of our own, and what a conversion leaves out."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest

from stonnx.artifact import Artifact
from stonnx.compile import convert, worth
from stonnx.runtime.token_rows import TokenRows
from stonnx.testing import TinyModel, make_tiny_model

pytest.importorskip("onnxruntime")

measure_gain = worth.measure_gain  # before the fixture of all tests puts another in its place
INT8 = ["int8", "int8-fast", "openvino-int8", "openvino-int8-static"]


class Runs:
    """Two functions and their clock; a run takes the next of its seconds."""

    def __init__(self, first, second):
        self.now, self.calls = 0.0, []
        self.both = (self._run("first", cycle(first)), self._run("second", cycle(second)))

    def _run(self, name, seconds):
        def run():
            self.calls.append(name)
            self.now += next(seconds)

        return run

    def clock(self):
        return self.now


def gain_of(first, second):
    runs = Runs(first, second)
    return worth.time_gain(runs.both, clock=runs.clock)


@pytest.mark.parametrize(
    ("first", "second", "worth_it"),
    [
        ([0.013], [0.010], True),
        ([0.010], [0.010], False),
        ([0.0104], [0.010], False),
        ([0.009], [0.010], False),
        ([0.013] * 4 + [0.005], [0.010], True),  # one busy turn of five
        ([0.013] * 3 + [0.010] * 2, [0.010], False),  # luck in three of five
        ([0.010], [0.009, 0.010], False),  # by half of the turns
    ],
)
def test_it_is_worth_it_where_nearly_every_turn_says_so(first, second, worth_it):
    assert gain_of(first, second).worth_it is worth_it


def test_a_busy_turn_does_not_move_the_figure():
    assert gain_of([0.013] * 6 + [0.5], [0.010]).ratio == pytest.approx(1.3)


@pytest.mark.parametrize(("seconds", "turns"), [(0.001, 25), (0.04, 13), (2.0, 9)])
def test_turns_end_with_the_time_but_there_are_enough(seconds, turns):
    assert len(gain_of([seconds], [seconds]).by_turn) == turns


def test_neither_is_always_first_and_warming_up_is_not_counted():
    runs = Runs([9.0, 9.0, 0.02], [9.0, 9.0, 0.01])
    worth.time_gain(runs.both, clock=runs.clock)
    warm, turns = runs.calls[:4], runs.calls[4:]
    assert sorted(warm) == ["first", "first", "second", "second"]
    assert turns[:6] == ["first", "second", "second", "first", "first", "second"]


def rows_of(*lengths, types=False):
    ids = np.arange(sum(lengths), dtype=np.int32)
    return TokenRows(ids=ids, offsets=np.cumsum([0, *lengths]), truncated=0, token_type_ids=ids % 2 if types else None)


@pytest.mark.parametrize(("lengths", "tokens"), [((100, 300), 32), ((3, 5), 5), ((1,), 1)])
@pytest.mark.parametrize("types", [False, True])
def test_the_batch_is_full_and_no_row_is_longer_than_the_model_takes(lengths, tokens, types):
    rows = rows_of(*lengths, types=types)
    batch = worth.batch_of(rows)
    assert batch.lengths.tolist() == [tokens] * 8
    assert set(batch.ids.tolist()) <= set(rows.ids.tolist())
    assert (batch.token_type_ids is not None) == types
    if types:
        np.testing.assert_array_equal(batch.token_type_ids, batch.ids % 2)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("source"), TinyModel(max_tokens=48))


def names_of(done):
    return [variant.name for variant in done.manifest.variants if variant.precision == "int8"]


@pytest.fixture(scope="module")
def kept(source, tmp_path_factory):
    """A conversion in which it is worth it, as the fixture of all tests has it."""
    return convert(source, tmp_path_factory.mktemp("kept") / "out", verify=False, int8=True)


def test_what_is_no_faster_is_left_out_and_the_note_says_where(source, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(worth, "measure_gain", lambda *_: worth.Gain(by_turn=(1.01,) * 9))
    monkeypatch.setattr(worth, "cpu_name", lambda: "a processor")
    done = convert(source, tmp_path / "out", verify=False, int8=True)
    assert names_of(kept) == INT8
    assert names_of(done) == [name for name in INT8 if name != "int8-fast"]
    assert not (done.path / "onnx/model_int8_fast.onnx").exists()
    (note,) = (note for note in done.notes if note.startswith("int8-fast was left out"))
    assert "(a processor)" in note
    assert "1.01 times" in note
    assert not any(note.startswith("int8-fast was left out") for note in kept.notes)
    # Of what is left out, no note says which class it has.
    assert [sum(note.startswith("int8-fast: ") for note in some.notes) for some in (kept, done)] == [1, 0]
    Artifact.open(done.path).check_files()
    # But for the graph that is left out, the decision changes no byte of the model.
    for path in kept.path.glob("onnx/*"):
        if path.name != "model_int8_fast.onnx":
            assert (done.path / "onnx" / path.name).read_bytes() == path.read_bytes()


def test_the_graphs_of_a_conversion_are_measured_as_they_are(kept):
    by_name = {variant.name: variant for variant in kept.manifest.variants}
    graphs = tuple(kept.path / by_name[name].graph.file for name in ("int8", "int8-fast"))
    gain = measure_gain(graphs, by_name["int8"].graph.inputs, rows_of(40, 60))
    assert 9 <= len(gain.by_turn) <= 25
    assert all(np.isfinite(gain.by_turn))
    assert min(gain.by_turn) > 0


@pytest.mark.parametrize("absent", ["int8", "int8-fast"])
def test_one_of_them_alone_is_not_measured(kept, monkeypatch, absent):
    monkeypatch.setattr(worth, "measure_gain", lambda *_: pytest.fail("there is nothing to compare"))
    variants = tuple(variant for variant in kept.manifest.variants if variant.name != absent)
    assert worth.without_slower(variants, kept.path, rows_of(40)) == (variants, ())
