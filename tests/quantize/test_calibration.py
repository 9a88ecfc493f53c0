"""Calibration goes layer by layer, and sees what goes into every projection."""

from __future__ import annotations

import threading

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.errors import RunError
from stonnx.quantize import calibration
from stonnx.quantize.calibration import chunks, observe
from stonnx.quantize.sessions import Runner, make_batches, output_rows
from stonnx.runtime.token_rows import TokenRows

pytest.importorskip("onnxruntime")


def rows_of(lengths):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenRows(ids=np.ones(offsets[-1], dtype=np.int32), offsets=offsets, truncated=0)


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=40), st.integers(1, 5000))
def test_chunks_are_all_batches_in_order_and_as_large_as_asked(lengths, at_least):
    batches = make_batches(rows_of(lengths))
    found = list(chunks(batches, tokens=at_least))
    assert [batch for part in found for batch in batches[part]] == batches
    sizes = [[batch.tokens for batch in batches[part]] for part in found]
    assert all(sum(size) >= at_least for size in sizes[:-1])
    assert all(sum(size[:-1]) < at_least for size in sizes)  # one batch fewer would not do


def test_energies_are_those_of_the_inputs(make_setup, monkeypatch):
    """Whatever is multiplied at a time."""
    work = make_setup()
    whole = work.statistics()
    monkeypatch.setattr(calibration, "_CHUNK_TOKENS", 50)
    parts = work.statistics()
    assert len(whole) == 8
    tokens = int(work.calibration.lengths.sum())
    for site, found in whole.items():
        assert found.tokens == parts[site].tokens == tokens
        np.testing.assert_allclose(found.energy, parts[site].energy, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found.energy, found.energy.T, rtol=1e-6)
        assert len(found.sample) == sum(-(-batch.tokens // 16) for batch in make_batches(work.calibration))
        for name in ("low", "high", "sample"):
            np.testing.assert_array_equal(getattr(found, name), getattr(parts[site], name))
        # The largest value of a component is in its energy; a sample is some of the inputs.
        assert (np.diag(found.energy) >= found.largest() ** 2 * (1 - 1e-5)).all()
        assert ((found.low <= found.sample) & (found.sample <= found.high)).all()


def test_a_norm_gives_what_the_norm_says(make_setup):
    """The input of the first projection has a layer norm's energy: its components are 0 and 1 but for the weights."""
    work = make_setup()
    get = work.workspace.blueprint.parameters.get
    scale, shift = get("embeddings.LayerNorm.weight"), get("embeddings.LayerNorm.bias")
    found = work.statistics()["layer.0.attention"]
    normed = (found.sample - shift) / scale
    np.testing.assert_allclose(normed.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(normed.std(axis=1), 1, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layers": 3}, [[0], [1], [2]]),
        ({"family": "albert", "layers": 3}, [[0, 1, 2]]),
        ({"family": "albert", "layers": 4, "config": {"num_hidden_groups": 2}}, [[0, 1], [2, 3]]),
        ({"family": "albert", "layers": 2, "config": {"inner_group_num": 2}}, [[0, 2], [1, 3]]),
    ],
)
def test_layers_come_one_by_one_and_those_that_share_weights_together(make_setup, options, expected):
    work = make_setup(**options)
    seen = work.observe()
    assert [list(found.layers) for found in seen] == expected
    for found in seen:
        sites = [site for layer in found.layers.values() for site in layer]
        assert list(found.projections) == list(found.statistics) == sites
        for number, own in found.layers.items():
            assert {site.rpartition(f"layer.{number}.")[0] for site in own} == {""}


def test_a_layer_is_not_run_before_it_is_asked_for(make_setup):
    """So the statistics of one are gone before those of the next come."""
    work = make_setup(layers=3)
    with Runner(work.folder) as runner:
        opened = []
        original = runner.open
        runner.open = lambda graph: opened.append(graph) or original(graph)
        observing = observe(work.workspace, work.calibration, runner)
        counts = [len(opened) for _ in observing]
    assert counts == [2, 3, 4]  # the embeddings and the first layer, and one after the other


def test_what_onnx_runtime_says_is_told_as_ours(make_setup):
    work = make_setup()
    work.workspace.float_graph.write_bytes(b"no graph")
    with Runner(work.folder) as runner, pytest.raises(RunError, match="failed while the model was quantised"):
        runner.open_file(work.workspace.float_graph)


def test_what_onnx_runtime_refuses_leaves_no_file(make_setup):
    work = make_setup()
    before = sorted(path.name for path in work.folder.iterdir())
    with Runner(work.folder) as runner, pytest.raises(RunError) as caught:
        runner.open(onnx.ModelProto())
    assert "--no-int8" in caught.value.cli_hint
    assert sorted(path.name for path in work.folder.iterdir()) == before


def test_threads_end_with_the_runner(make_setup):
    def threads():
        return [thread for thread in threading.enumerate() if thread.name.startswith("stonnx-quantize")]

    work = make_setup()
    with Runner(work.folder) as runner:
        graph, width = runner.open_file(work.workspace.float_graph), work.workspace.blueprint.dimension
        output_rows(runner, graph, work.held_out, output="sentence_embedding", width=width)
        assert threads()
    assert not threads()
