"""Text to token rows, cut where sentence-transformers would cut.

For example::

    tokenizer = TextTokenizer(Path("artifact/tokenizer.json"), max_tokens=256)
    rows = tokenizer.rows(["a text", "another"], prompt="query: ")
    pairs = tokenizer.pair_rows([("a query", "a document")])
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact.texts import clean_text, is_tokenizer_failure
from stonnx.errors import ArtifactError
from stonnx.runtime.long_texts import prefix, safe_cuts
from stonnx.runtime.token_rows import TokenRows

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from stonnx.runtime.pairs import PairLayout, Tokens

__all__ = ["TextTokenizer"]

_Item = TypeVar("_Item", str, tuple[str, str])

# The library's own results weigh about a hundred bytes per token before they are packed, and most texts are
# tokenized whole before they are cut, so a chunk is bounded by texts and by characters.
_CHUNK_TEXTS = 1024
_CHUNK_CHARACTERS = 1_000_000

# Of texts of more than twice as many characters for each token that may stay, a prefix is tokenized first. English
# has four to five characters a token; where that is not enough, the prefix grows.
_CHARACTERS_PER_TOKEN = 16

_NO_LIMIT = 2**31  # ids are kept as int32


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
        self._closing_tokens: int | None = None  # special tokens after the text, known once a row is cut
        self.max_tokens = max_tokens
        special = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if max_tokens <= special:
            raise ArtifactError(
                f"max_tokens is {max_tokens}, and {file.name} adds {special} special tokens to every text: "
                "no room is left for text."
            )
        self._tokenizer.no_padding()
        # Rows are cut here: the library would keep what it cuts off, for pairs in every combination of the parts.
        self._tokenizer.no_truncation()

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
        for chunk in _chunks((clean_text(prompt + text) for text in texts), len):
            encodings, _ = self._encode_starts(chunk, parallel=parallel)
            sizes = [len(encoding) for encoding in encodings]
            kept = [min(size, self.max_tokens) for size in sizes]
            flat = chain.from_iterable(map(self._cut, encodings))
            ids.append(self._checked(np.fromiter(flat, dtype=np.int64, count=sum(kept))))
            lengths.extend(kept)
            truncated += sum(size > self.max_tokens for size in sizes)
        return TokenRows(ids=_joined(ids), offsets=_offsets(lengths), truncated=truncated)

    def pair_rows(
        self, pairs: Sequence[tuple[str, str]], *, prompt: str = "", template: str | None = None, parallel: bool = True
    ) -> TokenRows:
        """Tokenize pairs of texts; of a pair that is too long, the longer text gives way first.

        That is the truncation ``longest_first`` of transformers, with its result for every pair.

        Args:
            pairs: Any number of (query, document).
            prompt: Prepended to each query; empty for none.
            template: A text with ``{query}`` and ``{document}`` that makes one text of a pair, cut at its end; None
                for the tokenizer's own way to write pairs.
            parallel: As in ``rows``.

        Returns:
            Rows with token types, unless all are 0.

        Raises:
            ArtifactError: As in ``rows``, or the tokenizer writes no pairs that leave room for text.
        """
        from stonnx.runtime.pairs import fill_template, keep_both  # not where only single texts are tokenized

        if template is not None:
            return self.rows([fill_template(template, prompt + a, b) for a, b in pairs], parallel=parallel)
        layout = self._pair_layout
        room = self.max_tokens - layout.special_tokens
        parts: list[NDArray[np.int64]] = []
        lengths: list[int] = []
        truncated = 0
        cleaned = ((clean_text(prompt + query), clean_text(document)) for query, document in pairs)
        for chunk in _chunks(cleaned, _characters):
            known = self._tokens_of(dict.fromkeys(chain.from_iterable(chunk)), parallel=parallel)
            for first, second in chunk:
                a, b = known[first], known[second]
                kept = keep_both(a, b, room=room, count=self._count)
                parts.append(layout.write(a.ids[: kept[0]], b.ids[: kept[1]]))
                truncated += kept[0] < len(a.ids) or kept[1] < len(b.ids)
                lengths.append(parts[-1].shape[1])
        rows = np.concatenate([np.empty((2, 0), dtype=np.int64), *parts], axis=1)  # ids and types, each (tokens,)
        return TokenRows(
            ids=self._checked(rows[0]),
            offsets=_offsets(lengths),
            truncated=truncated,
            token_type_ids=rows[1].astype(np.int32) if rows[1].any() else None,
        )

    def prompt_length(self, prompt: str) -> int:
        """Leading tokens that belong to the prompt, as sentence-transformers counts them.

        The prompt is tokenized alone; a special token at its end (``[SEP]``) does not count, one at
        its start (``[CLS]``) does. 0 for an empty prompt.
        """
        if not prompt:
            return 0
        ids = self._cut(self._encode_one(clean_text(prompt)))
        added = self._tokenizer.get_added_tokens_decoder()
        ends_special = bool(ids) and ids[-1] in added and added[ids[-1]].special
        return len(ids) - int(ends_special)

    @cached_property
    def _pair_layout(self) -> PairLayout:
        from stonnx.runtime.pairs import PairLayout

        layout = PairLayout.of(self._tokenizer)
        if layout is None or layout.special_tokens >= self.max_tokens:
            special = "no pairs" if layout is None else f"pairs with {layout.special_tokens} special tokens"
            raise ArtifactError(
                f"{self._file} writes {special}, and max_tokens is {self.max_tokens}: no room is left for two texts.",
                hint="Convert the model again, with the tokenizer that it was trained with.",
            )
        return layout

    def _tokens_of(self, texts: Iterable[str], *, parallel: bool) -> dict[str, Tokens]:
        """The tokens of some texts, without special ones; of texts far beyond the limit, those of a beginning."""
        from stonnx.runtime.pairs import Tokens

        whole = list(texts)
        encodings, starts = self._encode_starts(whole, parallel=parallel, special=False)
        return {
            text: Tokens(text, np.array(encoding.ids, dtype=np.int64), is_whole=len(start) == len(text))
            for text, encoding, start in zip(whole, encodings, starts, strict=True)
        }

    def _count(self, text: str) -> int:
        """How many tokens a text has, however long it is."""
        return len(self._encode_one(text, special=False))

    def _encode_starts(
        self, texts: list[str], *, parallel: bool, special: bool = True
    ) -> tuple[list[Encoding], list[str]]:
        """Encodings, and what of each text was encoded: of texts far beyond the limit, enough to go beyond it."""
        characters = self.max_tokens * _CHARACTERS_PER_TOKEN
        starts = [self._start(text, characters) for text in texts]
        encodings = self._encode(starts, parallel=parallel, special=special)
        for index, text in enumerate(texts):
            wanted = characters
            while len(starts[index]) < len(text) and len(encodings[index]) <= self.max_tokens:
                wanted *= 4
                starts[index] = self._start(text, wanted)
                encodings[index] = self._encode_one(starts[index], special=special)
        return encodings, starts

    def _start(self, text: str, characters: int) -> str:
        if len(text) <= 2 * characters or self._cuts is None:
            return text
        return prefix(text, self._cuts, characters=characters)

    @cached_property
    def _cuts(self) -> re.Pattern[str] | None:
        return safe_cuts(self._tokenizer)  # not before there is a long text: this takes a millisecond or two

    def _encode(self, texts: list[str], *, parallel: bool, special: bool) -> list[Encoding]:
        if len(texts) == 1 or not parallel:  # without waking the library's thread pool
            return [self._encode_one(text, special=special) for text in texts]
        try:
            encodings: list[Encoding] = self._tokenizer.encode_batch_fast(texts, add_special_tokens=special)
        except BaseException as exc:
            if not is_tokenizer_failure(exc):
                raise
            # One by one: it may have been the pool, for which the system has no threads. If not, it fails again.
            return [self._encode_one(text, special=special) for text in texts]
        return encodings

    def _encode_one(self, text: str, *, special: bool = True) -> Encoding:
        try:
            return self._tokenizer.encode(text, add_special_tokens=special)
        except BaseException as exc:
            if is_tokenizer_failure(exc):
                raise ArtifactError(
                    f"{self._file} fails on a text of {len(text)} characters: {exc}",
                    hint="Convert the model again, with a tokenizer that it was trained with.",
                ) from exc
            raise

    def _cut(self, encoding: Encoding) -> list[int]:
        """A row's ids, with the end of the text left out where the row is too long."""
        ids: list[int] = encoding.ids
        if len(ids) <= self.max_tokens:
            return ids
        if self._closing_tokens is None:
            belongs = reversed(encoding.sequence_ids)  # None for a special token
            self._closing_tokens = next(place for place, text in enumerate(belongs) if text is not None)
        closing = self._closing_tokens
        return ids[: self.max_tokens - closing] + ids[len(ids) - closing :]

    def _checked(self, ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """Token ids, each with a row in the model's table: engines do not look whether there is one."""
        highest = int(ids.max(initial=0))
        if highest >= self._table_rows:
            raise ArtifactError(
                f"{self._file} gives the token id {highest}, but the model's table of tokens has "
                f"{self._table_rows} rows: this tokenizer is not the model's.",
                hint="Convert the model again, with the tokenizer that it was trained with.",
            )
        return ids.astype(np.int32)


def _load(file: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(file))
    except BaseException as exc:
        if is_tokenizer_failure(exc):
            raise ArtifactError(f"{file} cannot be read as a tokenizer: {exc}") from exc
        raise


def _chunks(items: Iterable[_Item], characters_of: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """Lists of texts or pairs that are small enough to tokenize at once."""
    chunk: list[_Item] = []
    characters = 0
    for item in items:
        chunk.append(item)
        characters += characters_of(item)
        if len(chunk) == _CHUNK_TEXTS or characters >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _characters(pair: tuple[str, str]) -> int:
    return len(pair[0]) + len(pair[1])


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)


def _offsets(lengths: list[int]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
