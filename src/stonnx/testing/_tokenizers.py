"""Tiny tokenizers of the three families, built in-process with the tokenizers library."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["SPECIAL_TOKENS", "TokenizerFamily", "build_tokenizer"]

TokenizerFamily = Literal["wordpiece", "bpe", "unigram"]

SPECIAL_TOKENS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}

_HAN = "今天是周五啦明天就是末开心的一不了在人有我他这中大来上国个到说们为子和你地出道也时年得可下过学会那后自"
_WORDS = "the of and to in is a that for it was on are as with be this have from or by not hello world text".split()
_CHARACTERS = string.ascii_letters + string.digits + string.punctuation


def build_tokenizer(family: TokenizerFamily, *, lowercase: bool = True) -> Tokenizer:
    """A tokenizer that knows ASCII and some Chinese characters, and writes ``[CLS] text [SEP]``.

    Args:
        family: ``wordpiece`` as in BERT, ``bpe`` on bytes as in RoBERTa, ``unigram`` as in XLM-R.
        lowercase: Whether the ``wordpiece`` normaliser lowercases; the other families keep case.
    """
    from tokenizers import normalizers
    from tokenizers.processors import TemplateProcessing

    build = {"wordpiece": _wordpiece, "bpe": _bpe, "unigram": _unigram}[family]
    tokenizer = build()
    if family == "wordpiece":
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    cls, sep = SPECIAL_TOKENS["cls"], SPECIAL_TOKENS["sep"]
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS.values()))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (cls, sep)],
    )
    return tokenizer


def _wordpiece() -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphanumeric = string.ascii_letters + string.digits
    pieces = [*SPECIAL_TOKENS.values(), *_CHARACTERS, *_HAN, *(f"##{c}" for c in alphanumeric), *_WORDS[1:]]
    vocab = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=SPECIAL_TOKENS["unk"]))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _bpe() -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "t"), ("i", "n"), ("a", "n"), ("an", "d"), ("e", "r"), ("o", "n")]
    pieces = [*SPECIAL_TOKENS.values(), *alphabet, *("".join(pair) for pair in merges)]
    vocab = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token=SPECIAL_TOKENS["unk"]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _unigram() -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    pieces = [*SPECIAL_TOKENS.values(), "▁", *_CHARACTERS, *_HAN, *(f"▁{word}" for word in _WORDS)]
    # Longer pieces score better than their letters, so whole words win the Viterbi search.
    vocab = [(piece, -2.0 if len(piece) > 1 else -6.0) for piece in dict.fromkeys(pieces)]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=1, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer
