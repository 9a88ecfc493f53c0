from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stonnx.runtime.buckets import bucket_batch, bucket_rows, bucket_tokens
from stonnx.runtime.engines.base import Batch
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
def batches(draw):
    rows, tokens = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    lengths = np.array(draw(st.lists(st.integers(1, tokens), min_size=rows, max_size=rows)))[:, None]
    mask = (np.arange(tokens) < lengths).astype(np.int64)
    ids = np.random.default_rng(draw(st.integers(0, 99))).integers(1, 50, (rows, tokens)) * mask
    masked = draw(st.booleans())
    return Batch(input_ids=ids, attention_mask=mask if masked else None, prompt_length=draw(st.integers(0, 3)))


@given(batches())
def test_the_parts_are_the_batch(batch):
    parts = list(bucket_batch(batch, limit=64, pad_id=99, widen=True))
    rows, tokens = batch.input_ids.shape
    assert [i for part, _ in parts for i in range(rows)[part]] == list(range(rows))
    for part, padded in parts:
        real = part.stop - part.start
        assert padded.input_ids.shape == padded.attention_mask.shape
        assert padded.input_ids.shape[1] == bucket_tokens(tokens, limit=64)
        assert padded.prompt_length == batch.prompt_length
        np.testing.assert_array_equal(padded.input_ids[:real, :tokens], batch.input_ids[part])
        assert (padded.input_ids[:, tokens:] == 99).all()
        assert (padded.attention_mask[:, tokens:] == 0).all()
        assert (padded.attention_mask.sum(axis=1) > 0).all()


@given(batches())
def test_results_are_those_of_the_batch(batch):
    engine = FakeEngine()
    expected = engine.run(batch)
    for part, padded in bucket_batch(batch, limit=512, pad_id=0, widen=True):
        np.testing.assert_allclose(engine.run(padded)[: part.stop - part.start], expected[part], atol=1e-6)


def test_without_a_mask_rows_keep_their_width():
    batch = Batch(input_ids=np.arange(21).reshape(3, 7))
    shapes = [padded.input_ids.shape for _, padded in bucket_batch(batch, limit=512, pad_id=0, widen=False)]
    assert shapes == [(2, 7), (1, 7)]
