"""Text to token rows, cut where sentence-transformers would cut."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact.texts import clean_text, is_tokenizer_failure
from stonnx.errors import ArtifactError
from stonnx.runtime.long_texts import prefix, safe_cuts

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

__all__ = ["TextTokenizer", "TokenRows"]

# The library's own results weigh about a hundred bytes per token before they are packed, and most texts are
# tokenized whole before they are cut, so a chunk is bounded by texts and by characters.
_CHUNK_TEXTS = 1024
_CHUNK_CHARACTERS = 1_000_000

# Of texts of more than twice as many characters for each token that may stay, a prefix is tokenized first. English
# has four to five characters a token; where that is not enough, the prefix grows.
_CHARACTERS_PER_TOKEN = 16

_NO_LIMIT = 2**31  # ids are kept as int32


@dataclass(frozen=True, kw_only=True)
class TokenRows:
    """Token rows of unequal length, end to end in one array.

    Attributes:
        ids: int32, shape (tokens of all rows).
        offsets: int64, shape (rows + 1); row ``i`` is ``ids[offsets[i]:offsets[i + 1]]``.
        truncated: How many rows were cut at the limit.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    truncated: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Token count of each row, int64, shape (rows)."""
        return np.diff(self.offsets)

    def take(self, index: NDArray[np.int64]) -> TokenRows:
        """Some of the rows, in the order of ``index``; ``truncated`` is not counted again.

        Args:
            index: Row numbers, shape (chosen rows,).
        """
        chosen = [self.ids[self.offsets[row] : self.offsets[row + 1]] for row in index]
        offsets = np.concatenate([[0], np.cumsum(self.lengths[index])])
        ids = np.concatenate(chosen) if chosen else self.ids[:0]
        return TokenRows(ids=ids, offsets=offsets, truncated=0)


class TextTokenizer:
    """The tokenizer of an artifact, with its own limit. Safe to call from several threads.

    Truncation and padding stored inside ``tokenizer.json`` are ignored: several models carry
    values there that sentence-transformers does not use.

    Args:
        file: A ``tokenizer.json``.
        max_tokens: Longest row, special tokens included.
        table_rows: Rows of the table that the model looks ids up in; None where that is not known.

    Raises:
        ArtifactError: The file is not a tokenizer, or the limit leaves no room for text.
    """

    def __init__(self, file: Path, *, max_tokens: int, table_rows: int | None = None) -> None:
        self._tokenizer = _load(file)
        self._file = file
        self._table_rows = _NO_LIMIT if table_rows is None else table_rows
        self.max_tokens = max_tokens
        special = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if max_tokens <= special:
            raise ArtifactError(
                f"max_tokens is {max_tokens}, and {file.name} adds {special} special tokens to every text: "
                "no room is left for text."
            )
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=max_tokens)

    def rows(self, texts: Sequence[str], *, prompt: str = "", parallel: bool = True) -> TokenRows:
        """Tokenize texts, each with ``prompt`` in front.

        Lone surrogates become U+FFFD (``stonnx.artifact.texts.clean_text``).

        Args:
            texts: Any number of texts.
            prompt: Prepended to each text; empty for none.
            parallel: Use the library's own pool, which has a thread per core that the process may use. False
                stays on the calling thread.

        Raises:
            ArtifactError: The tokenizer gives an id that the model's table has no row for, or fails on a text.
        """
        ids: list[NDArray[np.int32]] = []
        lengths: list[int] = []
        truncated = 0
        for chunk in _chunks(texts, prompt):
            encodings = self._encode_starts(chunk, parallel=parallel)
            sizes = [len(encoding) for encoding in encodings]
            ids.append(self._checked_ids(encodings, sum(sizes)))
            lengths.extend(sizes)
            truncated += sum(self._was_cut(encoding) for encoding in encodings)
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return TokenRows(
            ids=np.concatenate(ids) if ids else np.empty(0, dtype=np.int32), offsets=offsets, truncated=truncated
        )

    def prompt_length(self, prompt: str) -> int:
        """Leading tokens that belong to the prompt, as sentence-transformers counts them.

        The prompt is tokenized alone; a special token at its end (``[SEP]``) does not count, one at
        its start (``[CLS]``) does. 0 for an empty prompt.
        """
        if not prompt:
            return 0
        ids: list[int] = self._encode_one(clean_text(prompt)).ids
        added = self._tokenizer.get_added_tokens_decoder()
        ends_special = bool(ids) and ids[-1] in added and added[ids[-1]].special
        return len(ids) - int(ends_special)

    def _encode_starts(self, texts: list[str], *, parallel: bool) -> list[Encoding]:
        """Encodings cut at the limit; of texts far beyond it, no more is tokenized than it takes to reach it."""
        characters = self.max_tokens * _CHARACTERS_PER_TOKEN
        starts = [self._start(text, characters) for text in texts]
        encodings = self._encode(starts, parallel=parallel)
        for index, text in enumerate(texts):
            wanted = characters
            while len(starts[index]) < len(text) and not self._was_cut(encodings[index]):
                wanted *= 4
                starts[index] = self._start(text, wanted)
                encodings[index] = self._encode_one(starts[index])
        return encodings

    def _start(self, text: str, characters: int) -> str:
        if len(text) <= 2 * characters or self._cuts is None:
            return text
        return prefix(text, self._cuts, characters=characters)

    @cached_property
    def _cuts(self) -> re.Pattern[str] | None:
        return safe_cuts(self._tokenizer)  # not before there is a long text: this takes a millisecond or two

    def _encode(self, texts: list[str], *, parallel: bool) -> list[Encoding]:
        if len(texts) == 1 or not parallel:  # without waking the library's thread pool
            return [self._encode_one(text) for text in texts]
        try:
            encodings: list[Encoding] = self._tokenizer.encode_batch_fast(texts)
        except BaseException as exc:
            if not is_tokenizer_failure(exc):
                raise
            # One by one: it may have been the pool, for which the system has no threads. If not, it fails again.
            return [self._encode_one(text) for text in texts]
        return encodings

    def _encode_one(self, text: str) -> Encoding:
        try:
            return self._tokenizer.encode(text)
        except BaseException as exc:
            if is_tokenizer_failure(exc):
                raise ArtifactError(
                    f"{self._file} fails on a text of {len(text)} characters: {exc}",
                    hint="Convert the model again, with a tokenizer that it was trained with.",
                ) from exc
            raise

    def _checked_ids(self, encodings: list[Encoding], count: int) -> NDArray[np.int32]:
        """All ids of some texts: engines do not look whether there is a row for them."""
        flat = chain.from_iterable(encoding.ids for encoding in encodings)
        ids = np.fromiter(flat, dtype=np.int64, count=count)
        highest = int(ids.max(initial=0))
        if highest >= self._table_rows:
            raise ArtifactError(
                f"{self._file} gives the token id {highest}, but the model's table of tokens has "
                f"{self._table_rows} rows: this tokenizer is not the model's.",
                hint="Convert the model again, with the tokenizer that it was trained with.",
            )
        return ids.astype(np.int32)

    def _was_cut(self, encoding: Encoding) -> bool:
        # `overflowing` copies what was cut off, so it is asked only of rows that reach the limit.
        return len(encoding) == self.max_tokens and bool(encoding.overflowing)


def _load(file: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(file))
    except BaseException as exc:
        if is_tokenizer_failure(exc):
            raise ArtifactError(f"{file} cannot be read as a tokenizer: {exc}") from exc
        raise


def _chunks(texts: Sequence[str], prompt: str) -> Iterator[list[str]]:
    """Cleaned texts in lists that are small enough to tokenize at once."""
    chunk: list[str] = []
    characters = 0
    for text in texts:
        cleaned = clean_text(prompt + text)
        chunk.append(cleaned)
        characters += len(cleaned)
        if len(chunk) == _CHUNK_TEXTS or characters >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
