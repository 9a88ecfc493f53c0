from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tokenizers
from tokenizers import Tokenizer

from stonnx.errors import ArtifactError
from stonnx.runtime import tokenize
from stonnx.runtime.tokenize import TextTokenizer

TEXTS = ["hello world", "", "the of and to in is a that for it was on are as with", "今天是周五啦", "a" * 30, "x"]


def expected_ids(file, text, limit):
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids = tokenizer.encode(text).ids
    return (ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]), len(ids) > limit


def test_rows_are_cut_at_our_limit_only(tokenizer_file, family):
    file = tokenizer_file(family)  # the file itself says: truncate to 5, pad to 40
    rows = TextTokenizer(file, max_tokens=12).rows(TEXTS)
    wanted = [expected_ids(file, text, 12) for text in TEXTS]
    got = [rows.ids[a:b].tolist() for a, b in zip(rows.offsets, rows.offsets[1:], strict=False)]
    assert got == [ids for ids, _ in wanted]
    assert rows.truncated == sum(cut for _, cut in wanted) > 0
    assert rows.lengths.tolist() == [len(ids) for ids, _ in wanted]
    assert (rows.ids.dtype, rows.offsets.dtype, len(rows)) == (np.int32, np.int64, len(TEXTS))


def test_a_row_that_just_fits_is_not_truncated(tokenizer_file):
    rows = TextTokenizer(tokenizer_file(), max_tokens=6).rows(["of and to in", "of and to in is"])
    assert (rows.lengths.tolist(), rows.truncated) == ([6, 6], 1)


def test_one_text_alone_is_the_same_as_among_others(tokenizer_file, family):
    tokenizer = TextTokenizer(tokenizer_file(family), max_tokens=12)
    together = tokenizer.rows(TEXTS)
    for i, text in enumerate(TEXTS):
        alone = tokenizer.rows([text])
        assert alone.ids.tolist() == together.ids[together.offsets[i] : together.offsets[i + 1]].tolist()


def test_on_the_calling_thread_alone_the_rows_are_the_same(tokenizer_file, family):
    tokenizer = TextTokenizer(tokenizer_file(family), max_tokens=12)
    pooled, alone = tokenizer.rows(TEXTS), tokenizer.rows(TEXTS, parallel=False)
    assert alone.ids.tolist() == pooled.ids.tolist()
    assert (alone.offsets.tolist(), alone.truncated) == (pooled.offsets.tolist(), pooled.truncated)


@pytest.mark.parametrize("index", [[], [3], [5, 0, 0, 2], [0, 1, 2, 3, 4, 5]])
def test_some_of_the_rows(tokenizer_file, index):
    rows = TextTokenizer(tokenizer_file(), max_tokens=12).rows(TEXTS)
    some = rows.take(np.array(index, dtype=np.int64))
    found = [some.ids[a:b].tolist() for a, b in zip(some.offsets, some.offsets[1:], strict=False)]
    assert found == [rows.ids[rows.offsets[i] : rows.offsets[i + 1]].tolist() for i in index]
    assert (some.ids.dtype, some.offsets.dtype, len(some), some.truncated) == (np.int32, np.int64, len(index), 0)


def test_no_texts(tokenizer_file):
    rows = TextTokenizer(tokenizer_file(), max_tokens=12).rows([])
    assert (len(rows), rows.truncated, rows.ids.dtype) == (0, 0, np.int32)


@pytest.mark.parametrize(("texts", "characters"), [(3, 1_000_000), (1024, 7), (1, 1)])
def test_chunks_do_not_show(tokenizer_file, monkeypatch, texts, characters):
    tokenizer = TextTokenizer(tokenizer_file(), max_tokens=12)
    whole = tokenizer.rows(TEXTS * 3)
    monkeypatch.setattr(tokenize, "_CHUNK_TEXTS", texts)
    monkeypatch.setattr(tokenize, "_CHUNK_CHARACTERS", characters)
    chunked = tokenizer.rows(TEXTS * 3)
    assert chunked.ids.tolist() == whole.ids.tolist()
    assert chunked.offsets.tolist() == whole.offsets.tolist()
    assert chunked.truncated == whole.truncated


def test_chunks_are_bounded_by_characters(monkeypatch):
    monkeypatch.setattr(tokenize, "_CHUNK_CHARACTERS", 10)
    assert [len(chunk) for chunk in tokenize._chunks(["a" * 5] * 5, len)] == [2, 2, 1]


def test_lone_surrogates(tokenizer_file):
    tokenizer = TextTokenizer(tokenizer_file(), max_tokens=12)
    assert tokenizer.rows(["a \ud800 b"]).ids.tolist() == tokenizer.rows(["a \ufffd b"]).ids.tolist()


def test_prompt_goes_in_front(tokenizer_file, family):
    tokenizer = TextTokenizer(tokenizer_file(family), max_tokens=12)
    prompted, joined = tokenizer.rows(["world"], prompt="hello "), tokenizer.rows(["hello world"])
    assert prompted.ids.tolist() == joined.ids.tolist()


def test_prompt_length_counts_the_first_special_token_but_not_the_last(tokenizer_file):
    tokenizer = TextTokenizer(tokenizer_file(), max_tokens=12)
    assert tokenizer.prompt_length("of and") == 3  # [CLS] of and
    assert tokenizer.prompt_length("") == 0
    assert tokenizer.prompt_length("of and to in is a that for it was on are as") == 11  # cut at 12, [SEP] taken off


def test_prompt_length_without_special_tokens_at_the_end(tokenizer_file):
    file = tokenizer_file()
    plain = Tokenizer.from_file(str(file))
    from tokenizers.processors import TemplateProcessing

    plain.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", plain.token_to_id("[CLS]"))])
    plain.save(str(file))
    assert TextTokenizer(file, max_tokens=12).prompt_length("of and") == 3


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\xff\xfe"])
def test_damaged_file(tmp_path, content):
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"tokenizer\.json cannot be read as a tokenizer"):
        TextTokenizer(file, max_tokens=12)


def test_no_room_for_text(tokenizer_file):
    with pytest.raises(ArtifactError, match=r"max_tokens is 2, .* adds 2 special tokens"):
        TextTokenizer(tokenizer_file(), max_tokens=2)


def test_fork_after_tokenizing_is_quiet_and_still_works(tokenizer_file):
    program = f"""
import os
from pathlib import Path
from stonnx.runtime.tokenize import TextTokenizer
tokenizer = TextTokenizer(Path({str(tokenizer_file())!r}), max_tokens=12)
tokenizer.rows(["hello"] * 50)
child = os.fork()
tokenizer.rows(["hello"] * 50)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": ""}
    # Python 3.12 and newer warn about any fork beside threads; what matters here is the library's own word.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if tuple(map(int, tokenizers.__version__.split(".")[:2])) >= (0, 23):  # older ones print a notice
        assert done.stderr == ""


@pytest.mark.slow  # importing torch
@pytest.mark.reference
def test_the_same_as_sentence_transformers(tmp_path, family):
    from sentence_transformers import SentenceTransformer

    from stonnx.testing import TinyModel, make_tiny_model

    folder = make_tiny_model(tmp_path / "model", TinyModel(tokenizer=family, max_tokens=12))
    module = SentenceTransformer(str(folder), device="cpu")[0]
    ours = TextTokenizer(folder / "tokenizer.json", max_tokens=12)
    for prompt in ("", "on ", "query: ", "of and to in is a that for it was on are"):
        for text in TEXTS:
            theirs = module.preprocess([text], prompt=prompt)
            assert ours.rows([text], prompt=prompt).ids.tolist() == theirs["input_ids"][0].tolist()
            assert ours.prompt_length(prompt) == theirs.get("prompt_length", 0)


def with_fatal_pattern(file):
    """A pattern that the library's engine gives up on, for some texts."""
    from tokenizers import Regex, pre_tokenizers

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+$"), "isolated")
    tokenizer.save(str(file))
    return TextTokenizer(file, max_tokens=12)


@pytest.mark.parametrize("parallel", [True, False])
def test_a_tokenizer_that_panics_on_a_text(tokenizer_file, capfd, parallel):
    tokenizer = with_fatal_pattern(tokenizer_file())
    fatal = "a" * 30 + "c"
    with pytest.raises(ArtifactError, match=r"tokenizer\.json fails on a text of 31 characters: .*Onig"):
        tokenizer.rows(["hello", fatal], parallel=parallel)
    with pytest.raises(ArtifactError, match="fails on a text"):
        tokenizer.prompt_length(fatal)
    assert len(tokenizer.rows(["hello"])) == 1
    capfd.readouterr()  # the library writes a word of its own


def test_a_pool_that_cannot_start_is_done_without(tokenizer_file):
    tokenizer = TextTokenizer(tokenizer_file(), max_tokens=12)
    expected = tokenizer.rows(TEXTS)
    library = tokenizer._tokenizer

    class PanicException(BaseException):
        pass

    class WithoutPool:
        def encode_batch_fast(self, texts):
            raise PanicException("ThreadPoolBuildError")

        def __getattr__(self, name):
            return getattr(library, name)

    tokenizer._tokenizer = WithoutPool()
    assert tokenizer.rows(TEXTS).ids.tolist() == expected.ids.tolist()


def test_an_id_without_a_row_in_the_table(tokenizer_file):
    file = tokenizer_file()
    highest = int(TextTokenizer(file, max_tokens=12).rows(TEXTS).ids.max())
    TextTokenizer(file, max_tokens=12, table_rows=highest + 1).rows(TEXTS)
    small = TextTokenizer(file, max_tokens=12, table_rows=highest)
    with pytest.raises(ArtifactError, match=rf"gives the token id {highest}, but the .* table .* has {highest} rows"):
        small.rows(TEXTS)


def test_ids_that_do_not_fit(tokenizer_file):
    file = tokenizer_file()
    library = Tokenizer.from_file(str(file))
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(f'"hello": {library.token_to_id("hello")}', f'"hello": {2**31 + 5}'), encoding="utf-8")
    with pytest.raises(ArtifactError, match=str(2**31 + 5)):
        TextTokenizer(file, max_tokens=12).rows(["hello"])
