"""The tokenizers of BERT's cousins as transformers 5 builds them: a vocabulary, and the rest fixed by the class.

Of ``tokenizer.json`` they take the vocabulary, the merges, SentencePiece's table of characters and the added tokens;
normaliser, pre-tokenizer and the frame of special tokens are the class's own. For ``BertTokenizer`` see
``bert_tokenizer``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stonnx._fields import Fields
from stonnx.checkpoint.tokens import TokenSet, add_tokens, with_defaults
from stonnx.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["build_class_tokenizer", "has_class", "padding_of_class"]

Parts = dict[str, Any]

# What a tokenizer.json holds beside normaliser, pre-tokenizer and model.
_BARE: Parts = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "post_processor": None,
}
_ANGLED = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
_UNUSED = ("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED")


@dataclass(frozen=True)
class _Files:
    """``tokenizer_config.json``, ``tokenizer.json``, and the tokens of both."""

    config: Fields
    document: Mapping[str, Any]
    tokens: TokenSet


@dataclass(frozen=True, kw_only=True)
class _Class:
    """How a class builds its tokenizer.

    Attributes:
        model: Kind of the vocabulary that it takes.
        special: Texts of the special tokens where no file names them.
        parts: Normaliser, pre-tokenizer and model, as ``tokenizer.json`` writes them.
        frame: Roles of the tokens around one text, and around two.
        wide_mask: The mask token takes the blanks in front of it along.
        extra: Further special tokens where no file names any.
        keeps_frame: The frame of ``tokenizer.json`` wins over the class's.
    """

    model: str
    special: Mapping[str, str]
    parts: Callable[[_Files], Parts]
    frame: tuple[str, str]
    wide_mask: bool = False
    extra: tuple[str, ...] = ()
    keeps_frame: bool = False


def has_class(name: str, document: Mapping[str, Any] | None) -> bool:
    """Whether ``build_class_tokenizer`` knows the class and can take the vocabulary of ``tokenizer.json``.

    Args:
        name: Name of the tokenizer class, without "Fast".
        document: ``tokenizer.json``; None where there is none.
    """
    model = (document or {}).get("model")
    return name in _CLASSES and isinstance(model, dict) and model.get("type", _kind(model)) == _CLASSES[name].model


def padding_of_class(name: str) -> str:
    """Text of the padding token where no file names one: of BERT for a class that is not known here.

    Args:
        name: Name of the tokenizer class, without "Fast".
    """
    return _CLASSES[name].special["pad_token"] if name in _CLASSES else "[PAD]"


def _kind(model: Mapping[str, Any]) -> str:
    """What early files, which do not name it, hold."""
    if "merges" in model:
        return "BPE"
    return "Unigram" if isinstance(model.get("vocab"), list) else "WordPiece"


def build_class_tokenizer(
    name: str, document: Mapping[str, Any], config: Mapping[str, Any], tokens: TokenSet
) -> Tokenizer:
    """Build the tokenizer; ``has_class`` has to be true.

    Args:
        name: Name of the tokenizer class, without "Fast".
        document: ``tokenizer.json``.
        config: ``tokenizer_config.json``.
        tokens: Special and added tokens.

    Raises:
        CheckpointError: An option has the wrong type.
        Exception: The tokenizers library cannot use the file.
    """
    from tokenizers import Tokenizer

    rules = _CLASSES[name]
    tokens = with_defaults(tokens, rules.special, wide_mask=rules.wide_mask, extra=rules.extra)
    options = Fields("tokenizer_config.json", config, error=CheckpointError)
    parts = {**_BARE, **rules.parts(_Files(options, document, tokens))}
    tokenizer = Tokenizer.from_str(json.dumps(parts))
    add_tokens(tokenizer, tokens)
    if rules.keeps_frame and document.get("post_processor") is not None:
        stored = {**parts, "post_processor": document["post_processor"]}
        tokenizer.post_processor = Tokenizer.from_str(json.dumps(stored)).post_processor
    else:
        tokenizer.post_processor = _frame(tokenizer, rules, tokens)
    return tokenizer


def _frame(tokenizer: Tokenizer, rules: _Class, tokens: TokenSet) -> Any:
    from tokenizers.processors import TemplateProcessing

    texts = {role: tokens.text(f"{role}_token", "") for role in ("bos", "eos", "cls", "sep")}
    single, pair = ([_piece(word, texts) for word in frame.split()] for frame in rules.frame)
    special = [(text, tokenizer.token_to_id(text)) for text in dict.fromkeys(texts.values())]
    return TemplateProcessing(single=single, pair=pair, special_tokens=special)


def _piece(word: str, texts: Mapping[str, str]) -> str:
    """A word of a frame, the text of the token in the place of its role."""
    role, colon, type_id = word.partition(":")
    return f"{texts.get(role, role)}{colon}{type_id}"


def _byte_level(files: _Files) -> Parts:
    """RoBERTa: pairs of bytes."""
    model = {key: files.document["model"].get(key) for key in ("vocab", "merges")}
    return {
        "model": {"type": "BPE", **model, "continuing_subword_prefix": "", "end_of_word_suffix": ""},
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": files.config.flag("add_prefix_space", default=False),
            "trim_offsets": True,
            "use_regex": True,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    }


def _word_piece(files: _Files) -> Parts:
    """MPNet: the pieces of BERT."""
    return {
        "model": {
            "type": "WordPiece",
            "vocab": files.document["model"].get("vocab"),
            "unk_token": files.tokens.text("unk_token", "[UNK]"),
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
        },
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": files.config.flag("tokenize_chinese_chars", default=True),
            "strip_accents": files.config.flag("strip_accents", default=None),
            "lowercase": files.config.flag("do_lower_case", default=True),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    }


def _xlm_roberta(files: _Files) -> Parts:
    return _sentence_piece(files, normalizers=_characters(files), unk_id=3)


def _camembert(files: _Files) -> Parts:
    unknown = files.tokens.text("unk_token", "<unk>")
    pieces = files.document["model"].get("vocab") or []
    unk_id = next((index for index, (piece, _) in enumerate(pieces) if piece == unknown), 0)
    return _sentence_piece(files, normalizers=_characters(files), unk_id=unk_id)


def _albert(files: _Files) -> Parts:
    quotes = [{"type": "Replace", "pattern": {"String": mark}, "content": '"'} for mark in ("``", "''")]
    accents = [] if files.config.flag("keep_accents", default=False) else [{"type": "NFKD"}, {"type": "StripAccents"}]
    case = [{"type": "Lowercase"}] if files.config.flag("do_lower_case", default=True) else []
    return _sentence_piece(files, normalizers=[*quotes, *accents, *case, *_characters(files)], unk_id=1)


def _sentence_piece(files: _Files, *, normalizers: list[Parts], unk_id: int) -> Parts:
    scheme = "always" if files.config.flag("add_prefix_space", default=True) else "never"
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": True}
    return {
        "model": {
            "type": "Unigram",
            "vocab": files.document["model"].get("vocab"),
            "unk_id": unk_id,
            "byte_fallback": False,
        },
        "normalizer": {"type": "Sequence", "normalizers": normalizers} if normalizers else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "decoder": metaspace,
    }


def _characters(files: _Files) -> list[Parts]:
    """SentencePiece's table of characters, the first that the normaliser of ``tokenizer.json`` holds."""
    normalizer = files.document.get("normalizer")
    steps = normalizer.get("normalizers", [normalizer]) if isinstance(normalizer, dict) else []
    tables = [step for step in steps if isinstance(step, dict) and step.get("type") == "Precompiled"]
    return tables[:1]


_SEPARATED = ("cls $A sep", "cls $A sep sep $B sep")
_CLASSES: dict[str, _Class] = {
    "RobertaTokenizer": _Class(model="BPE", special=_ANGLED, parts=_byte_level, frame=_SEPARATED),
    "XLMRobertaTokenizer": _Class(
        model="Unigram", special=_ANGLED, parts=_xlm_roberta, frame=("bos $A eos", "bos $A eos eos $B eos")
    ),
    "CamembertTokenizer": _Class(
        model="Unigram",
        special=_ANGLED,
        parts=_camembert,
        frame=("bos $A eos", "bos $A eos eos $B eos"),
        wide_mask=True,
        extra=_UNUSED,
    ),
    "MPNetTokenizer": _Class(
        model="WordPiece",
        special={**_ANGLED, "unk_token": "[UNK]"},
        parts=_word_piece,
        frame=_SEPARATED,
        wide_mask=True,
    ),
    "AlbertTokenizer": _Class(
        model="Unigram",
        special={
            **_ANGLED,
            "bos_token": "[CLS]",
            "eos_token": "[SEP]",
            "sep_token": "[SEP]",
            "cls_token": "[CLS]",
            "mask_token": "[MASK]",
        },
        parts=_albert,
        frame=("cls $A sep", "cls $A sep $B:1 sep:1"),
        keeps_frame=True,
    ),
}
