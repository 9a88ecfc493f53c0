"""Arguments of ``encode``, ``predict`` and the like: checked once, with a message that names the value found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import numpy as np

from stonnx.errors import UsageError

__all__ = [
    "as_documents",
    "as_pairs",
    "as_texts",
    "check_iterable",
    "check_text",
    "named_prompts",
    "positive_int",
    "resolve_prompt",
    "resolve_truncate_dim",
]

_PAIRS_HINT = "Pass a list of pairs: [(query, document), ...]."
_FLAT_HINT = "Pass one flat list of texts."


def as_texts(texts: object) -> tuple[list[str], bool]:
    """The texts as a list, and whether the caller gave a single str.

    Args:
        texts: A str, or an iterable of str: list, tuple, generator, NumPy array, pandas Series.

    Raises:
        UsageError: It is neither, has no order (a set, a mapping), or holds something that is not a str.
    """
    if isinstance(texts, np.ndarray):
        texts = texts.tolist()  # a 0-d array gives its str; a 2-d one nested lists, refused below
    if isinstance(texts, str):
        return [str(texts)], True
    return [
        check_text(item, index) for index, item in enumerate(_ordered(texts, "texts", "a str or a list of str"))
    ], False


def check_iterable(texts: object) -> Iterable[object]:
    """Something that gives texts one by one.

    Raises:
        UsageError: It is a single str, it is no iterable, or it has no order.
    """
    if isinstance(texts, str):
        raise UsageError("texts is a str; expected an iterable of str.", hint="Pass a list, or use encode.")
    return _ordered(texts, "texts", "an iterable of str")


def check_text(item: object, index: int, *, name: str = "texts", list_hint: str = _FLAT_HINT) -> str:
    """An item as a str.

    Args:
        item: What the caller gave.
        index: Its place, for the message.
        name: The argument that it is in.
        list_hint: What to do where it is a list.

    Raises:
        UsageError: It is something else.
    """
    if not isinstance(item, str):
        raise UsageError(f"{name}[{index}] is {_kind(item)}; expected a str.", hint=_hint(item, list_hint))
    return item


def as_documents(documents: object) -> list[str]:
    """The documents of ``rank`` as a list.

    Args:
        documents: An iterable of str.

    Raises:
        UsageError: It is a single str, it has no order, or it holds something that is not a str.
    """
    if isinstance(documents, str):
        raise UsageError("documents is a str; expected a list of str.", hint="Put it into a list: [document].")
    items = _ordered(documents, "documents", "a list of str")
    return [check_text(item, index, name="documents") for index, item in enumerate(items)]


def as_pairs(pairs: object) -> tuple[list[tuple[str, str]], bool]:
    """The pairs as a list of tuples, and whether the caller gave a single pair.

    Args:
        pairs: A pair of str (a tuple, a list or an array), or an iterable of pairs.

    Raises:
        UsageError: It is neither, or one of the pairs is not of two str; the message says which.
    """
    if isinstance(pairs, np.ndarray):
        pairs = pairs.tolist()
    if isinstance(pairs, (list, tuple)) and any(isinstance(item, str) for item in pairs):
        return [_pair(pairs, "pairs")], True
    items = _ordered(pairs, "pairs", "a pair of str, or a list of pairs", hint=_PAIRS_HINT)
    return [_pair(item, f"pairs[{index}]") for index, item in enumerate(items)], False


def _pair(value: object, name: str) -> tuple[str, str]:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        raise UsageError(f"{name} is {_kind(value)}; expected a pair (query, document) of str.", hint=_PAIRS_HINT)
    if len(value) != 2:
        count = f"{len(value)} item{'' if len(value) == 1 else 's'}"
        raise UsageError(f"{name} has {count}; expected two, a query and a document.", hint=_PAIRS_HINT)
    query, document = (check_text(item, index, name=name, list_hint=_PAIRS_HINT) for index, item in enumerate(value))
    return query, document


def _ordered(values: object, name: str, expected: str, *, hint: str | None = None) -> Iterable[object]:
    """An iterable that has an order; ``hint`` is for what needs no hint of its own."""
    unordered = isinstance(values, (bytes, bytearray, Mapping, AbstractSet, str))
    if unordered or not isinstance(values, Iterable):
        raise UsageError(f"{name} is {_kind(values)}; expected {expected}.", hint=_hint(values) or hint)
    return values


def named_prompts(prompts: Mapping[str, str]) -> dict[str, str]:
    """The prompts that a model has in sentence-transformers: ``query`` and ``document`` are there for every model.

    Args:
        prompts: Those that the model's files name.

    Returns:
        Texts by name; ``query`` and ``document`` are empty where the files do not name them.
    """
    return {"query": "", "document": "", **prompts}


def resolve_prompt(
    prompts: Mapping[str, str], default_name: str | None, *, prompt: str | None, prompt_name: str | None
) -> str:
    """The prompt to put in front of each text, chosen as sentence-transformers does.

    Args:
        prompts: Prompt texts by name, see ``named_prompts``.
        default_name: The prompt for callers that name none; None for no prompt.
        prompt: A prompt text; it wins over ``prompt_name``.
        prompt_name: A name in ``prompts``.

    Returns:
        The prompt, empty for none.

    Raises:
        UsageError: ``prompt`` or ``prompt_name`` is not a str, or there is no prompt of that name.
    """
    if prompt is not None:
        if not isinstance(prompt, str):
            raise UsageError(f"prompt is {_kind(prompt)}; expected a str.")
        return prompt
    if prompt_name is None:
        return "" if default_name is None else prompts.get(default_name, "")
    if not isinstance(prompt_name, str):
        raise UsageError(f"prompt_name is {_kind(prompt_name)}; expected a str.")
    if prompt_name not in prompts:
        names = ", ".join(map(repr, prompts))
        raise UsageError(
            f"There is no prompt {prompt_name!r}; this model has" + (f": {names}." if names else " none."),
            hint="Pass the prompt's text as prompt='...'.",
            cli_hint="Give the prompt's text with --prompt.",
        )
    return prompts[prompt_name]


def resolve_truncate_dim(truncate_dim: int | None, *, default: int | None, dimension: int) -> int:
    """How many leading components to keep.

    Args:
        truncate_dim: What the caller asked for; None for the model's default.
        default: The model's default; None for all.
        dimension: Components that the model has.

    Raises:
        UsageError: It is not an int between 1 and ``dimension``.
    """
    if truncate_dim is None:
        return dimension if default is None else min(default, dimension)
    kept = positive_int(truncate_dim, name="truncate_dim")
    if kept > dimension:
        raise UsageError(
            f"truncate_dim is {kept}; the model has {dimension} dimensions, so 1 to {dimension} can be kept."
        )
    return kept


def positive_int(value: object, *, name: str) -> int:
    """``value`` as an int (NumPy integers are welcome, booleans are not).

    Raises:
        UsageError: It is not an integer, or below 1.
    """
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise UsageError(f"{name} is {value!r}; expected a whole number of at least 1.")
    if value < 1:
        raise UsageError(f"{name} is {value}; expected at least 1.")
    return int(value)


def _kind(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _hint(value: object, list_hint: str = _FLAT_HINT) -> str | None:
    if isinstance(value, (bytes, bytearray)):
        return 'Decode it first: value.decode("utf-8").'
    if isinstance(value, (list, tuple)):
        return list_hint
    return None
