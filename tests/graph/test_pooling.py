"""Pooling in the graph against its NumPy twin: six modes, padded and not, with and without a prompt."""

from __future__ import annotations

import numpy as np
import pytest

from stonnx.graph.modules import Pooling
from stonnx.testing import TinyModel
from tests.graph import oracle

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
TOLERANCE = 1e-5  # mean_sqrt_len_tokens sums a row: up to the root of 12 times order 1


def run_portable(model, ids, mask, **more):
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids), **more}
    return model.sessions["portable"].run(None, feeds)


@pytest.mark.parametrize("mode", MODES)
def test_padded_rows(author, padded, mode):
    model = author(TinyModel(head=(Pooling(modes=(mode,)),)))
    ids, mask = padded
    hidden, pooled = run_portable(model, ids, mask)
    assert np.abs(pooled - oracle.pool(hidden.astype(np.float64), mask, mode)).max() < TOLERANCE


@pytest.mark.parametrize("mode", MODES)
def test_rows_padded_on_the_left(author, padded, mode):
    """Other tools may pad there; sentence-transformers' modes allow for it."""
    model = author(TinyModel(head=(Pooling(modes=(mode,)),)))
    ids, mask = padded[0][:, ::-1].copy(), padded[1][:, ::-1].copy()
    hidden, pooled = run_portable(model, ids, mask)
    assert np.abs(pooled - oracle.pool(hidden.astype(np.float64), mask, mode)).max() < TOLERANCE


@pytest.mark.parametrize("mode", MODES)
def test_equal_lengths_without_a_mask(author, equal, mode):
    model = author(TinyModel(head=(Pooling(modes=(mode,)),)))
    mask = np.ones_like(equal)
    hidden, _ = run_portable(model, equal, mask)
    (pooled,) = model.sessions["ort_cpu"].run(None, {"input_ids": equal})
    assert np.abs(pooled - oracle.pool(hidden.astype(np.float64), mask, mode)).max() < TOLERANCE


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("prompt_length", [0, 1, 4])
def test_prompt_left_out(author, equal, mode, prompt_length):
    model = author(TinyModel(head=(Pooling(modes=(mode,), include_prompt=False),)))
    mask = np.ones_like(equal)
    length = np.array([prompt_length])
    hidden, portable = run_portable(model, equal, mask, prompt_lengths=length)
    (optimized,) = model.sessions["ort_cpu"].run(None, {"input_ids": equal, "prompt_lengths": length})
    expected = oracle.pool(hidden.astype(np.float64), mask, mode, prompt_length)
    assert np.abs(portable - expected).max() < TOLERANCE
    assert np.abs(optimized - expected).max() < TOLERANCE


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", ["right", "left"])
def test_each_row_may_have_a_prompt_of_its_own(author, padded, mode, side):
    """Rows of different requests in one batch, padded; the last row has one token, and no prompt."""
    model = author(TinyModel(head=(Pooling(modes=(mode,), include_prompt=False),)))
    ids, mask = padded if side == "right" else (values[:, ::-1].copy() for values in padded)
    lengths = np.array([4, 1, 0])
    hidden, pooled = run_portable(model, ids, mask, prompt_lengths=lengths)
    rows = zip(hidden.astype(np.float64), mask, lengths, strict=True)
    expected = [oracle.pool(row[None], real[None], mode, length)[0] for row, real, length in rows]
    assert np.abs(pooled - np.stack(expected)).max() < TOLERANCE


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"])
def test_a_row_that_is_nothing_but_prompt_gives_zeros(author, padded, mode):
    model = author(TinyModel(head=(Pooling(modes=(mode,), include_prompt=False),)))
    ids, mask = padded
    _, pooled = run_portable(model, ids, mask, prompt_lengths=np.array([ids.shape[1]]))
    np.testing.assert_array_equal(pooled, np.zeros_like(pooled))


def test_prompt_lengths_may_be_left_out_of_the_call(author, equal):
    """Tools that know nothing of prompts feed three inputs, and the graph assumes no prompt."""
    model = author(TinyModel(head=(Pooling(modes=("mean",), include_prompt=False),)))
    mask = np.ones_like(equal)
    _, without = run_portable(model, equal, mask)
    _, zero = run_portable(model, equal, mask, prompt_lengths=np.array([0]))
    assert np.array_equal(without, zero)


def test_several_modes_are_concatenated_in_their_order(author, padded):
    modes = ("weightedmean", "cls", "max")
    model = author(TinyModel(head=(Pooling(modes=modes),)))
    ids, mask = padded
    hidden, pooled = run_portable(model, ids, mask)
    parts = [oracle.pool(hidden.astype(np.float64), mask, mode) for mode in modes]
    assert np.abs(pooled - np.concatenate(parts, axis=1)).max() < TOLERANCE
