"""Where a text that is much longer than the model's limit may be cut before it is tokenized.

A tokenizer works through the whole text: ten million characters take seconds and gigabytes, for 256 tokens. A prefix
is enough where its tokens are the first tokens of the whole. That holds at a space between two ASCII letters or digits,
if every step of the tokenizer is one of those below:

- The normalizer changes characters by themselves or together with marks that follow them. A space begins nothing that
  would join what lies before it, and neither replacement of spaces (runs of two or more) nor stripping reaches it.
- The pre-tokenizer splits at whitespace and looks no further than the character after a piece. So the last piece of
  the prefix ends at the space in the whole text as well, and all pieces before it are the same.
- The model (WordPiece, BPE, Unigram, WordLevel) works on each piece by itself.
- Added tokens hold no space, so none lies across the cut.

So the prefix gives the first tokens of the text, and if the prefix alone is longer than the limit, what is cut off
at the limit leaves the same row. BERT's normalizer puts spaces around every Chinese character, and its pre-tokenizer
drops them: there the place between two of them will do, too.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["prefix", "safe_cuts"]

_SPACE = r"(?<=[0-9A-Za-z])(?= [0-9A-Za-z])"
_CHINESE = r"(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])"

_MODELS = {"WordPiece", "BPE", "Unigram", "WordLevel"}
_LOCAL_NORMALIZERS = {
    "BertNormalizer",
    "Lowercase",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Nmt",
    "Precompiled",
    "Prepend",
    "Strip",
    "StripAccents",
}
_SPLITTERS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_LOCAL_SPLITTERS = {"Digits", "Punctuation"}  # they leave whitespace to others


def safe_cuts(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """The places where a text may be cut for this tokenizer; None where that is not proven for any."""
    normalizers = _steps(tokenizer.normalizer, "normalizers")
    splitters = _steps(tokenizer.pre_tokenizer, "pretokenizers")
    local = (
        type(tokenizer.model).__name__ in _MODELS
        and not getattr(tokenizer.model, "dropout", None)  # merges by chance
        and all(map(_is_local, normalizers))
        and _splits_at_spaces(splitters)
        and all(_is_one_word(token.content) for token in tokenizer.get_added_tokens_decoder().values())
    )
    if not local:
        return None
    chinese = any(step["type"] == "BertNormalizer" and step["handle_chinese_chars"] for step in normalizers)
    bert = [step["type"] for step in splitters] == ["BertPreTokenizer"]
    return re.compile(f"{_SPACE}|{_CHINESE}" if chinese and bert else _SPACE)


def prefix(text: str, cuts: re.Pattern[str], *, characters: int) -> str:
    """The shortest prefix of at least so many characters that ends at a safe cut; the text itself if there is none."""
    cut = cuts.search(text, characters)
    return text if cut is None else text[: cut.start()]


def _steps(component: Any, key: str) -> list[dict[str, Any]]:
    """A component's settings, as they stand in ``tokenizer.json``; those of its parts for a sequence."""
    if component is None:
        return []
    settings = json.loads(component.__getstate__())
    if settings["type"] != "Sequence":
        return [settings]
    steps: list[dict[str, Any]] = settings[key]
    return steps


def _is_local(normalizer: dict[str, Any]) -> bool:
    if normalizer["type"] != "Replace":
        return normalizer["type"] in _LOCAL_NORMALIZERS
    match normalizer["pattern"]:
        case {"Regex": " {2,}"}:
            return True
        case {"String": word}:
            return _is_one_word(word)
        case _:
            return False


def _splits_at_spaces(steps: list[dict[str, Any]]) -> bool:
    """Whether one step splits at whitespace, after none that could hide it."""
    for step in steps:
        match step:
            case {"type": "ByteLevel", "use_regex": True} | {"type": "Metaspace", "split": True}:
                break
            case {"type": kind} if kind in _SPLITTERS:
                break
            case {"type": kind} if kind not in _LOCAL_SPLITTERS:
                return False
    else:
        return False
    known = _SPLITTERS | _LOCAL_SPLITTERS | {"ByteLevel", "Metaspace"}
    return all(step["type"] in known for step in steps)


def _is_one_word(text: str) -> bool:
    """Printable ASCII without a space: nothing that a normalizer would put a space into."""
    return text.isascii() and text.isprintable() and " " not in text
