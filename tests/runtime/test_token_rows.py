from __future__ import annotations

import numpy as np

from stonnx.runtime.token_rows import TokenRows, join_rows


def rows_of(*rows, types=None, prompts=None, truncated=0):
    return TokenRows(
        ids=np.array([i for row in rows for i in row], dtype=np.int32),
        offsets=np.cumsum([0, *map(len, rows)]),
        truncated=truncated,
        token_type_ids=None if types is None else np.array(types, dtype=np.int32),
        prompt_lengths=None if prompts is None else np.array(prompts),
    )


def test_rows_of_several_requests_are_joined():
    joined = join_rows([rows_of([1, 2], [3], truncated=1), rows_of(), rows_of([4, 5, 6], [], truncated=2)])
    assert joined.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert joined.offsets.tolist() == [0, 2, 3, 6, 6]
    assert (joined.ids.dtype, joined.offsets.dtype, joined.truncated) == (np.int32, np.int64, 3)
    assert (joined.token_type_ids, joined.prompt_lengths) == (None, None)
    assert len(join_rows([])) == 0


def test_what_one_request_leaves_out_is_zero_in_company():
    joined = join_rows([rows_of([1, 2], [3]), rows_of([4, 5], types=[0, 1], prompts=[2]), rows_of([6])])
    assert joined.token_type_ids.tolist() == [0, 0, 0, 0, 1, 0]
    assert joined.prompt_lengths.tolist() == [0, 0, 2, 0]


def test_some_of_the_rows_keep_their_types_and_prompts():
    rows = rows_of([1, 2], [3], [4, 5], types=[0, 1, 0, 1, 1], prompts=[7, 8, 9], truncated=2)
    some = rows.take(np.array([2, 0]))
    assert some.ids.tolist() == [4, 5, 1, 2]
    assert some.token_type_ids.tolist() == [1, 1, 0, 1]
    assert (some.prompt_lengths.tolist(), some.truncated) == ([9, 7], 0)
    nothing = rows.take(np.array([], dtype=np.int64))
    assert (len(nothing), nothing.token_type_ids.tolist(), nothing.prompt_lengths.tolist()) == (0, [], [])
