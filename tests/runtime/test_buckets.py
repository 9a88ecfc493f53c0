from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.runtime.buckets import Buckets, bucket_rows, bucket_tokens
from stonnx.testing import FakeEngine

rows_up_to_2000 = st.integers(1, 2000)


@pytest.mark.parametrize(
    ("tokens", "width"),
    [(1, 4), (4, 4), (9, 12), (64, 64), (65, 72), (128, 128), (129, 144), (256, 256), (257, 288), (510, 512)],
)
def test_widths(tokens, width):
    assert bucket_tokens(tokens, limit=512) == width


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_a_width_is_bounded(tokens, limit):
    width = bucket_tokens(tokens, limit=limit)
    assert tokens <= width <= max(tokens, limit)
    assert width - tokens < 32
    assert tokens <= 24 or (width - tokens) * 9 <= width


def test_widths_are_few():
    assert len({bucket_tokens(tokens, limit=512) for tokens in range(1, 513)}) == 40


@pytest.mark.parametrize(
    ("rows", "heights"),
    [(1, (1,)), (2, (2,)), (3, (2, 1)), (5, (4, 1)), (7, (8,)), (24, (16, 8)), (25, (16, 8, 1)), (26, (32,))],
)
def test_heights(rows, heights):
    assert bucket_rows(rows) == heights


@given(rows_up_to_2000)
def test_heights_are_few_and_waste_is_bounded(rows):
    heights = bucket_rows(rows)
    assert all(height & (height - 1) == 0 for height in heights)
    assert list(heights) == sorted(set(heights), reverse=True)
    assert rows <= sum(heights) <= rows + rows // 4
    assert sum(heights[:-1]) < rows


@st.composite
def runs(draw):
    """The feeds of a run, padded on the left or on the right, and which."""
    rows, tokens = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    side = draw(st.sampled_from(["right", "left"]))
    lengths = np.array(draw(st.lists(st.integers(1, tokens), min_size=rows, max_size=rows)))[:, None]
    columns = np.arange(tokens)
    mask = (columns < lengths if side == "right" else columns >= tokens - lengths).astype(np.int64)
    ids = np.random.default_rng(draw(st.integers(0, 99))).integers(1, 50, (rows, tokens)) * mask
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids % 2}
    prompts = {
        "prompt_length": np.array(draw(st.integers(0, 3))),
        "prompt_lengths": np.array(draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))),
    }
    name = draw(st.sampled_from([None, *prompts]))
    return feeds | ({} if name is None else {name: prompts[name]}), side


@given(runs())
def test_the_parts_are_the_run(run):
    feeds, side = run
    parts = list(Buckets(limit=64, pad_id=99, padding_side=side).parts(feeds))
    rows, tokens = feeds["input_ids"].shape
    assert [i for part, _ in parts for i in range(rows)[part]] == list(range(rows))
    for part, padded in parts:
        real = part.stop - part.start
        ids, mask = padded["input_ids"], padded["attention_mask"]
        width = ids.shape[1]
        assert width == bucket_tokens(tokens, limit=64)
        assert {len(values) for values in padded.values() if values.shape} == {len(ids)}
        old, new = (slice(tokens), slice(tokens, None))
        if side == "left":
            old, new = slice(width - tokens, None), slice(width - tokens)
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            np.testing.assert_array_equal(padded[name][:real, old], feeds[name][part])
        assert (ids[:, new] == 99).all()
        assert (mask[:, new] == 0).all()
        assert (mask.sum(axis=1) > 0).all()


@given(runs())
def test_results_are_those_of_the_run(run):
    feeds, side = run
    engine = FakeEngine()
    (expected,) = engine.run(feeds, ["sentence_embedding"])
    for part, padded in Buckets(limit=512, pad_id=0, padding_side=side).parts(feeds):
        (found,) = engine.run(padded, ["sentence_embedding"])
        np.testing.assert_allclose(found[: part.stop - part.start], expected[part], atol=1e-6)


def test_without_a_mask_rows_keep_their_width():
    parts = Buckets(limit=512, pad_id=0).parts({"input_ids": np.arange(21).reshape(3, 7)})
    assert [padded["input_ids"].shape for _, padded in parts] == [(2, 7), (1, 7)]


def test_one_prompt_length_for_all_stays_one():
    feeds = {"input_ids": np.arange(21).reshape(3, 7), "prompt_lengths": np.array([2])}
    parts = Buckets(limit=512, pad_id=0).parts(feeds)
    assert [padded["prompt_lengths"].tolist() for _, padded in parts] == [[2], [2]]
