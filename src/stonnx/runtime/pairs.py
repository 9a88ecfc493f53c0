"""Two texts in one token row: how a tokenizer writes them, and which tokens stay of a pair that is too long.

For example::

    layout = PairLayout.of(tokenizer)                  # [CLS] first [SEP] second [SEP]
    kept = longest_first(len(a), len(b), room=509)     # tokens that stay of each
    row = layout.write(a[: kept[0]], b[: kept[1]])     # ids and token types
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["PairLayout", "Tokens", "fill_template", "keep_both", "longest_first"]

_PROBES = ("a", "0", ".", "的")  # any text will do that gives a token
_PLACES = re.compile(r"\{(query|document)\}")


class Tokens(NamedTuple):
    """The tokens of a text, or of its beginning.

    Attributes:
        text: The whole text.
        ids: Token ids without special tokens, int64, shape (tokens,).
        is_whole: Whether these are all; if not, there are more than any row has room for.
    """

    text: str
    ids: NDArray[np.int64]
    is_whole: bool


@dataclass(frozen=True)
class _Part:
    """A stretch of a row: special tokens, or the tokens of one of the texts (0 or 1)."""

    text: int | None
    ids: NDArray[np.int64]
    token_type: int


@dataclass(frozen=True)
class PairLayout:
    """How a tokenizer puts two texts into a row.

    Attributes:
        parts: The row from its beginning to its end.
    """

    parts: tuple[_Part, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> PairLayout | None:
        """The layout of a tokenizer's pairs, read off a pair of short texts; None where it writes none."""
        for probe in _PROBES:
            encoding = tokenizer.encode(probe, probe)
            cells = zip(encoding.sequence_ids, encoding.type_ids, encoding.ids, strict=True)
            parts = tuple(_part(*key, group) for key, group in groupby(cells, key=lambda cell: (cell[0], cell[1])))
            if sorted(part.text for part in parts if part.text is not None) == [0, 1]:
                return cls(parts)
        return None

    @property
    def special_tokens(self) -> int:
        """How many tokens of a row belong to neither text."""
        return sum(len(part.ids) for part in self.parts)

    def write(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ids and token types of a row, int64, shape (2, tokens).

        Args:
            first: Token ids of the first text, int64, shape (tokens,).
            second: Those of the second.
        """
        texts = (first, second)
        stretches = [(part.ids if part.text is None else texts[part.text], part.token_type) for part in self.parts]
        return np.concatenate([np.stack([ids, np.full_like(ids, token_type)]) for ids, token_type in stretches], axis=1)


def longest_first(first: int, second: int, *, room: int) -> tuple[int, int]:
    """How many tokens of two texts stay: the truncation ``longest_first`` of the tokenizers library.

    The longer text gives way until both are of one length, and then both; where that leaves an odd token, it stays
    with the longer one, and with the second where they are equal.

    Args:
        first: Tokens of the first text.
        second: Tokens of the second.
        room: Tokens of both that a row has room for.
    """
    if first + second <= room:
        return first, second
    shorter = min(first, second)
    if 2 * shorter <= room:
        kept = shorter, room - shorter
    else:
        kept = room // 2, room - room // 2
    return kept if first <= second else (kept[1], kept[0])


def keep_both(first: Tokens, second: Tokens, *, room: int, count: Callable[[str], int]) -> tuple[int, int]:
    """As ``longest_first``, for texts of which perhaps only a beginning was tokenized.

    Args:
        first: The first text; if it is a beginning, it has more tokens than ``room``.
        second: The second, likewise.
        room: Tokens of both that a row has room for.
        count: Counts the tokens of a whole text. It is asked only where the result depends on which text is longer,
            and the beginnings do not tell.
    """
    lengths = len(first.ids), len(second.ids)
    # Who gets the odd token is all that more tokens than the room could change.
    if room % 2 and min(lengths) > room // 2 and not _order_is_known(first, second):
        counts = tuple(len(side.ids) if side.is_whole else count(side.text) for side in (first, second))
        return longest_first(counts[0], counts[1], room=room)
    return longest_first(*lengths, room=room)


def fill_template(template: str, query: str, document: str) -> str:
    """The one text that a template makes of a pair; braces inside the texts stay as they are.

    Args:
        template: A text with ``{query}`` and ``{document}``.
        query: Goes into its place.
        document: Goes into its place.
    """
    texts = {"query": query, "document": document}
    return _PLACES.sub(lambda place: texts[place[1]], template)


def _order_is_known(first: Tokens, second: Tokens) -> bool:
    """Whether the tokens that are there tell if the first text has more of them than the second."""
    if first.is_whole and second.is_whole:
        return True
    if first.is_whole:
        return len(first.ids) <= len(second.ids)
    return second.is_whole and len(second.ids) < len(first.ids)


def _part(text: int | None, token_type: int, cells: Any) -> _Part:
    ids = [token for _, _, token in cells] if text is None else []
    return _Part(text, np.array(ids, dtype=np.int64), token_type)
