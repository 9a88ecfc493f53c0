from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stonnx.errors import ArtifactError
from stonnx.runtime.batching import plan_batches
from stonnx.runtime.feeds import make_feeds
from stonnx.runtime.token_rows import TokenRows

MASKED = ("input_ids", "attention_mask", "token_type_ids")
lengths_strategy = hnp.arrays(np.int64, st.integers(1, 40), elements=st.integers(0, 40))
sides = st.sampled_from(["right", "left"])


def rows_of(*rows: list[int], **options: object) -> TokenRows:
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    ids = np.array([i for row in rows for i in row], dtype=np.int32)
    return TokenRows(ids=ids, offsets=offsets, truncated=0, **options)


def feeds_of(rows, index, inputs=MASKED, side="right"):
    return make_feeds(rows, np.array(index), inputs=inputs, pad_id=7, padding_side=side)


@pytest.mark.parametrize("side", ["right", "left"])
def test_equal_rows(side):
    feeds = feeds_of(rows_of([1, 2], [9], [3, 4]), [2, 0], side=side)
    assert feeds["input_ids"].tolist() == [[3, 4], [1, 2]]
    assert feeds["attention_mask"].tolist() == [[1, 1], [1, 1]]
    assert feeds["token_type_ids"].tolist() == [[0, 0], [0, 0]]
    assert {values.dtype for values in feeds.values()} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    ("side", "ids", "mask"),
    [
        ("right", [[1, 2, 3], [9, 7, 7], [0, 0, 7]], [[1, 1, 1], [1, 0, 0], [1, 1, 0]]),
        ("left", [[1, 2, 3], [7, 7, 9], [7, 0, 0]], [[1, 1, 1], [0, 0, 1], [0, 1, 1]]),
    ],
)
def test_padding(side, ids, mask):
    feeds = feeds_of(rows_of([1, 2, 3], [9], [0, 0]), [0, 1, 2], side=side)
    assert feeds["input_ids"].tolist() == ids
    assert feeds["attention_mask"].tolist() == mask


@pytest.mark.parametrize(("side", "types"), [("right", [[0, 1, 1], [1, 0, 0]]), ("left", [[0, 1, 1], [0, 0, 1]])])
def test_token_types(side, types):
    rows = rows_of([1, 2, 3], [9], token_type_ids=np.array([0, 1, 1, 1], dtype=np.int32))
    assert feeds_of(rows, [0, 1], side=side)["token_type_ids"].tolist() == types


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("index", [[0], [0, 1], [0, 2]])
def test_a_row_without_tokens_is_one_padding_token_in_any_company(index, side):
    feeds = feeds_of(rows_of([], [5], [6, 6]), index, side=side)
    assert set(feeds["input_ids"][0].tolist()) == {7}
    assert feeds["attention_mask"].sum(axis=1).tolist() == [max(1, row) for row in index]
    assert feeds["attention_mask"][0, 0 if side == "right" else -1] == 1


@given(lengths=lengths_strategy, equal=st.booleans(), side=sides)
def test_fed_rows_are_the_rows(lengths, equal, side):
    rows = rows_of(*[list(range(1, 1 + n)) for n in lengths])
    for index in plan_batches(rows.lengths, batch_tokens=64, equal_lengths=equal):
        feeds = make_feeds(rows, index, inputs=MASKED, pad_id=0, padding_side=side)
        assert not equal or feeds["attention_mask"].all()
        for ids, mask, row in zip(feeds["input_ids"], feeds["attention_mask"], index, strict=True):
            width = len(ids)
            filled = slice(lengths[row]) if side == "right" else slice(width - lengths[row], None)
            expected = np.zeros(width, np.int64)
            expected[filled] = np.arange(1, 1 + lengths[row])
            assert ids.tolist() == expected.tolist()
            assert mask[filled].all()
            assert mask.sum() == max(1, lengths[row])


def test_prompt_lengths_of_each_row_and_of_all():
    rows = rows_of([1], [2], [3], prompt_lengths=np.array([4, 0, 4]))
    assert feeds_of(rows, [1, 2], ("prompt_lengths",))["prompt_lengths"].tolist() == [0, 4]
    one = feeds_of(rows, [0, 2], ("prompt_length",))["prompt_length"]
    assert (one.shape, int(one), one.dtype) == ((), 4, np.int64)
    with pytest.raises(ValueError, match=r"\[0, 4\]: this graph takes one"):
        feeds_of(rows, [0, 1], ("prompt_length",))
    plain = feeds_of(rows_of([1], [2]), [0, 1], ("prompt_length", "prompt_lengths"))
    assert (int(plain["prompt_length"]), plain["prompt_lengths"].tolist()) == (0, [0])


def test_only_what_the_graph_takes_is_fed():
    assert set(feeds_of(rows_of([1]), [0], ("input_ids",))) == {"input_ids"}
    with pytest.raises(ArtifactError, match="'pixels'"):
        feeds_of(rows_of([1]), [0], ("pixels",))
