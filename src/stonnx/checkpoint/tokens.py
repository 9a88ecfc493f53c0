"""Special and added tokens, gathered from the files that transformers reads them from, in its order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stonnx._fields import Fields
from stonnx.checkpoint.source import SourceFolder
from stonnx.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

__all__ = ["TokenSet", "add_tokens", "read_tokens", "with_defaults"]

_STANDARD = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, kw_only=True)
class TokenSet:
    """Tokens that are matched in the text before the vocabulary is.

    Attributes:
        named: Special tokens by role, such as ``pad_token``.
        extra: Further special tokens.
        by_id: Added tokens by the id that a file gives them.
    """

    named: Mapping[str, AddedToken]
    extra: tuple[AddedToken, ...]
    by_id: Mapping[int, AddedToken]

    def text(self, role: str, default: str) -> str:
        """Content of the special token with this role."""
        return str(self.named[role].content) if role in self.named else default


def read_tokens(
    folder: SourceFolder, prefix: str, config: Mapping[str, Any], document: Mapping[str, Any] | None
) -> TokenSet:
    """Gather the tokens as ``PreTrainedTokenizerBase._from_pretrained`` of transformers 5 does.

    A ``tokenizer_config.json`` with ``added_tokens_decoder`` is complete. Without it, the older files
    count: ``special_tokens_map.json``, ``added_tokens.json`` and the list inside ``tokenizer.json``.

    Args:
        folder: The model.
        prefix: Sub-folder of the tokenizer with a trailing slash; "" for the root.
        config: ``tokenizer_config.json``.
        document: ``tokenizer.json``; None where there is none.

    Raises:
        CheckpointError: A file is damaged, or describes a token in a way that makes no sense.
    """
    config = dict(config)
    by_id: dict[int, AddedToken] = {}
    if "added_tokens_decoder" in config:
        decoder = Fields("tokenizer_config.json", config, error=CheckpointError).object("added_tokens_decoder")
        by_id = {_id(key): _token(value) for key, value in decoder.items()}
    else:
        if folder.exists(f"{prefix}special_tokens_map.json"):
            config |= folder.read_object(f"{prefix}special_tokens_map.json")
        if folder.exists(f"{prefix}added_tokens.json"):
            by_id |= _legacy_added(folder.read_object(f"{prefix}added_tokens.json"), config)
        for value in _stored(document):
            by_id[_id(value.get("id"))] = _token(value)
    return TokenSet(named=_named(config, by_id), extra=_extra(config), by_id=by_id)


def add_tokens(tokenizer: Tokenizer, tokens: TokenSet) -> None:
    """Teach ``tokenizer`` the tokens; a token that it does not know gets the next free id."""
    new = [tokens.by_id[index] for index in sorted(tokens.by_id)]
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()} | {t.content for t in new}
    for token in (*tokens.named.values(), *tokens.extra):
        if token.content not in known:
            new.append(token)
            known.add(token.content)
    roles = {token.content for token in tokens.named.values()}
    for token in new:
        token.special = token.special or token.content in roles
    tokenizer.add_tokens(new)


def with_defaults(
    tokens: TokenSet, special: Mapping[str, str], *, wide_mask: bool = False, extra: tuple[str, ...] = ()
) -> TokenSet:
    """The special tokens that a tokenizer class has even where no file names them.

    Args:
        tokens: What the files name.
        special: Texts by role, such as ``pad_token``.
        wide_mask: The mask token takes the blanks in front of it along, unless a file describes it.
        extra: Further special tokens where no file names any.
    """
    from tokenizers import AddedToken

    described = {token.content: token for token in tokens.by_id.values()}
    named = {role: described.get(text) or AddedToken(text, special=True) for role, text in special.items()}
    named |= tokens.named
    mask = named.get("mask_token")
    if wide_mask and mask is not None and mask.content not in described:
        named["mask_token"] = AddedToken(mask.content, lstrip=True, special=True)
    order = dict.fromkeys((*_STANDARD, *named))
    return TokenSet(
        named={role: named[role] for role in order if role in named},
        extra=tokens.extra or tuple(AddedToken(text, special=True) for text in extra),
        by_id=tokens.by_id,
    )


def _named(config: Mapping[str, Any], by_id: Mapping[int, AddedToken]) -> dict[str, AddedToken]:
    described = {token.content: token for token in by_id.values()}
    # Roles of a model's own, such as `image_token`, follow the standard ones.
    own = [key for key, value in config.items() if key.endswith("_token") and isinstance(value, str)]
    named: dict[str, AddedToken] = {}
    for role in dict.fromkeys((*_STANDARD, *own)):
        if config.get(role) is not None:
            token = _token(config[role], special=True)
            named[role] = described.get(token.content, token)
    return named


def _extra(config: Mapping[str, Any]) -> tuple[AddedToken, ...]:
    values = config.get("extra_special_tokens") or config.get("additional_special_tokens") or []
    if isinstance(values, dict):
        values = list(values.values())
    if not isinstance(values, list):
        raise CheckpointError(f"The tokenizer's extra special tokens are {values!r}; expected a list.")
    return tuple(_token(value, special=True) for value in values)


def _legacy_added(entries: Mapping[str, Any], config: Mapping[str, Any]) -> dict[int, AddedToken]:
    special = {token.content for token in (*_named(config, {}).values(), *_extra(config))}
    return {
        _id(index): _token({"content": text, "normalized": text not in special, "special": text in special})
        for text, index in entries.items()
    }


def _stored(document: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    values = (document or {}).get("added_tokens") or []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise CheckpointError("tokenizer.json: added_tokens must be a list of JSON objects.")
    return values


def _token(value: object, *, special: bool = False) -> AddedToken:
    from tokenizers import AddedToken

    entry = {"content": value} if isinstance(value, str) else value
    if isinstance(entry, dict) and _is_text(entry.get("content")):
        options = {key: entry[key] for key in ("lstrip", "normalized", "rstrip", "single_word") if key in entry}
        if all(isinstance(option, bool) for option in options.values()):
            return AddedToken(entry["content"], special=special or entry.get("special") is True, **options)
    raise CheckpointError(f"The tokenizer describes a token as {value!r}; expected a text or an object with a content.")


def _is_text(value: object) -> bool:
    """Whether it is a string of Unicode characters; JSON can spell others (lone surrogates)."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _id(value: object) -> int:
    try:
        return int(value)  # type: ignore[call-overload,no-any-return]
    except (TypeError, ValueError, OverflowError):
        raise CheckpointError(f"The tokenizer gives a token the id {value!r}; expected a whole number.") from None
