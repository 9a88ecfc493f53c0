"""``BertTokenizer`` as transformers 5 builds it: a vocabulary, three options, and everything else fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stonnx._fields import Fields
from stonnx.checkpoint.tokens import TokenSet, add_tokens, with_defaults
from stonnx.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["build_bert_tokenizer", "read_vocab", "word_piece_vocab"]

_SPECIAL = {f"{role}_token": f"[{role.upper()}]" for role in ("unk", "sep", "pad", "cls", "mask")}
_NORMALIZER_KEYS = {
    "lowercase": ("do_lower_case", True),
    "strip_accents": ("strip_accents", None),
    "handle_chinese_chars": ("tokenize_chinese_chars", True),
}


def build_bert_tokenizer(
    vocab: Mapping[str, int], config: Mapping[str, Any], tokens: TokenSet, document: Mapping[str, Any] | None
) -> tuple[Tokenizer, list[str]]:
    """Build the tokenizer.

    ``tokenizer.json`` gives its vocabulary and its added tokens, no more: transformers takes the
    normaliser from ``tokenizer_config.json`` and fixes the rest. (``never_split`` and
    ``do_basic_tokenize``, options of its former Python tokenizer, have no effect.)

    Args:
        vocab: Ids by piece.
        config: ``tokenizer_config.json``.
        tokens: Special and added tokens.
        document: ``tokenizer.json``, to tell where it differs; None where there is none.

    Returns:
        The tokenizer, and notes for the user.

    Raises:
        CheckpointError: An option has the wrong type.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    options: dict[str, Any] = {name: _option(config, name) for name in _NORMALIZER_KEYS}
    tokenizer = Tokenizer(models.WordPiece(dict(vocab), unk_token=tokens.text("unk_token", "[UNK]")))
    tokenizer.normalizer = normalizers.BertNormalizer(clean_text=True, **options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokens = with_defaults(tokens, _SPECIAL)
    add_tokens(tokenizer, tokens)
    cls, sep = tokens.text("cls_token", "[CLS]"), tokens.text("sep_token", "[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", "$B:1", f"{sep}:1"],
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in dict.fromkeys((cls, sep))],
    )
    return tokenizer, _differences(options, document)


def read_vocab(text: str) -> dict[str, int]:
    """Ids by piece, from the text of ``vocab.txt``: one piece a line."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    # As tokenizers reads it: blanks at the end of a line do not count, and the last of equal lines wins.
    return {line.rstrip(): index for index, line in enumerate(lines)}


def word_piece_vocab(document: Mapping[str, Any]) -> dict[str, int] | None:
    """The vocabulary of a WordPiece ``tokenizer.json``; None when it is of another kind."""
    model = document.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    # Files of early releases do not name the type.
    if not isinstance(model, dict) or model.get("type", "WordPiece") != "WordPiece" or "merges" in model:
        return None
    if not isinstance(vocab, dict) or not all(isinstance(index, int) and index >= 0 for index in vocab.values()):
        return None
    return vocab


def _option(config: Mapping[str, Any], name: str) -> bool | None:
    key, default = _NORMALIZER_KEYS[name]
    return Fields("tokenizer_config.json", config, error=CheckpointError).flag(key, default=default)


def _differences(options: Mapping[str, bool | None], document: Mapping[str, Any] | None) -> list[str]:
    """What ``tokenizer.json`` says otherwise, where that would split text differently."""
    if document is None:
        return []
    normalizer = document.get("normalizer")
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer":
        return ["The normaliser in tokenizer.json is not BERT's; transformers replaces it, and so does stonnx."]
    different = [
        f"{source[0]}={options[name]}"
        for name, source in _NORMALIZER_KEYS.items()
        if normalizer.get(name, source[1]) != options[name]
    ]
    if not different:
        return []
    settings = ", ".join(different)
    return [f"tokenizer.json and tokenizer_config.json disagree; the latter counts, as in transformers: {settings}."]
