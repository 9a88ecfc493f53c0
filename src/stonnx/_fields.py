"""Fields of a JSON object, each checked where it is read.

Whoever reads a file that others wrote says what a field must be, and what counts when it is not there. A value of
another type is an error that names the file, the field, the value found and what was expected::

    fields = Fields("config.json", json.loads(text), error=CheckpointError)
    layers = fields.positive_int("num_hidden_layers", default=12)
    lowercase = fields.flag("do_lower_case", default=False, nullable=True)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from stonnx.errors import StonnxError

__all__ = ["REQUIRED", "Fields"]

_LONGEST_VALUE = 200  # letters of a value that a message quotes


class _Required:
    """The type of ``REQUIRED``, which no JSON value has."""


REQUIRED: Final = _Required()
"""In the place of a default: the field must be there."""

D = TypeVar("D")
T = TypeVar("T")


@dataclass(frozen=True)
class _Default(Generic[D]):
    """What counts when a key is missing, and whether a null counts as missing."""

    value: D | _Required
    nullable: bool


class Fields:
    """The fields of one JSON object.

    Each reader takes a key and a default. The default counts when the key is missing; without one, the key must be
    there. A null is a wrong value like any other, unless the default is None or the reader is told ``nullable``: then
    a null counts as missing.

    Args:
        name: What messages call the object: the name of its file, with the path inside it where there is one.
        values: The object, as a JSON parser returned it.
        error: The class of every error that is raised here.

    Attributes:
        name: As given.
        values: As given, unchecked.

    Raises:
        StonnxError: ``values`` is no JSON object; its class is ``error``, here and in every reader.
    """

    def __init__(self, name: str, values: object, *, error: type[StonnxError]) -> None:
        if not isinstance(values, Mapping):
            raise error(f"{name} holds a {type(values).__name__}; expected a JSON object.")
        self.name = name
        self.values: Mapping[str, Any] = values
        self._error = error

    def __contains__(self, key: object) -> bool:
        return key in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def get(self, key: str) -> Any:
        """The value, unchecked; None where the key is missing."""
        return self.values.get(key)

    def flag(self, key: str, *, default: D | _Required = REQUIRED, nullable: bool = False) -> bool | D:
        """A boolean.

        Raises:
            StonnxError: It is something else.
        """
        return self._read(key, _Default(default, nullable), "true or false", _of(bool))

    def positive_int(
        self, key: str, *, default: D | _Required = REQUIRED, nullable: bool = False, at_most: int | None = None
    ) -> int | D:
        """A whole number of at least 1.

        Raises:
            StonnxError: It is something else, or larger than ``at_most`` (None: no limit).
        """
        expected = "a positive whole number" if at_most is None else f"a whole number from 1 to {at_most}"

        def take(value: object) -> int | None:
            if isinstance(value, bool) or not isinstance(value, int):  # to Python, true is a 1
                return None
            return value if value >= 1 and (at_most is None or value <= at_most) else None

        return self._read(key, _Default(default, nullable), expected, take)

    def number(
        self,
        key: str,
        *,
        default: D | _Required = REQUIRED,
        nullable: bool = False,
        at_least: float = -math.inf,
        below: float = math.inf,
    ) -> float | D:
        """A finite number from ``at_least`` to below ``below``; whole numbers count.

        Raises:
            StonnxError: It is something else.
        """
        limits = [f" of at least {at_least:g}"] if at_least > -math.inf else []
        limits += [f" below {below:g}"] if below < math.inf else []

        def take(value: object) -> float | None:
            finite = _finite(value)
            return finite if finite is not None and at_least <= finite < below else None

        return self._read(key, _Default(default, nullable), f"a number{' and'.join(limits)}", take)

    def text(self, key: str, *, default: D | _Required = REQUIRED, nullable: bool = False) -> str | D:
        """A string.

        Raises:
            StonnxError: It is something else.
        """
        return self._read(key, _Default(default, nullable), "a text", _of(str))

    def texts(self, key: str, *, default: D | _Required = REQUIRED, nullable: bool = False) -> tuple[str, ...] | D:
        """A list of strings, which may be empty.

        Raises:
            StonnxError: It is something else.
        """

        def take(value: object) -> tuple[str, ...] | None:
            return tuple(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else None

        return self._read(key, _Default(default, nullable), "a list of texts", take)

    def texts_by_name(
        self, key: str, *, default: D | _Required = REQUIRED, nullable: bool = False
    ) -> dict[str, str] | D:
        """An object whose values are strings, which may be empty.

        Raises:
            StonnxError: It is something else.
        """

        def take(value: object) -> dict[str, str] | None:
            if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
                return None
            return dict(value)

        return self._read(key, _Default(default, nullable), "texts by name", take)

    def object(self, key: str, *, default: D | _Required = REQUIRED, nullable: bool = False) -> dict[str, Any] | D:
        """A JSON object; ``Fields`` again reads what is in it.

        Raises:
            StonnxError: It is something else.
        """
        return self._read(key, _Default(default, nullable), "a JSON object", _of(dict))

    def check_keys(self, *keys: str) -> None:
        """Check that these keys are there and no others.

        Raises:
            StonnxError: One is missing, or there is another one.
        """
        if set(self.values) != set(keys):
            found = ", ".join(map(repr, sorted(self.values))) or "none"
            raise self._error(f"{self.name}: expected the keys {', '.join(keys)}; found {_cut(found)}.")

    def wrong(
        self, key: str, expected: str, *, hint: str | None = None, error: type[StonnxError] | None = None
    ) -> StonnxError:
        """The error for a value that is not as expected, for rules that no reader here knows.

        Args:
            key: The field.
            expected: What it should have been, without a full stop.
            hint: The next step for the user; None when there is none.
            error: A class other than the usual one; None for the usual one.
        """
        message = f"{self.name}: {key} is {_cut(repr(self.values.get(key)))}; expected {expected}."
        return (error or self._error)(message, hint=hint)

    def _read(self, key: str, use: _Default[D], expected: str, take: Callable[[Any], T | None]) -> T | D:
        """What ``take`` makes of the value, which is None when the value is wrong; or the default."""
        value = self.values.get(key)
        if key not in self.values or (value is None and (use.nullable or use.value is None)):
            if isinstance(use.value, _Required):
                raise self._error(f"{self.name}: {key} is missing; expected {expected}.")
            return use.value
        taken = take(value)
        if taken is None:
            raise self.wrong(key, expected)
        return taken


def _of(kind: type[T]) -> Callable[[Any], T | None]:
    """Takes values of this type."""
    return lambda value: value if isinstance(value, kind) else None


def _finite(value: object) -> float | None:
    """The number as a float; None for what is no finite one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
