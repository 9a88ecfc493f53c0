"""``stonnx.json`` to the dataclasses of ``manifest.py`` and back, strictly.

The decoder is driven by the fields of the dataclasses: every key must be there, no other key may
be, and every value has the field's type. What the types cannot say is in ``rules.py``.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from stonnx._extras import UPGRADE
from stonnx.artifact.manifest import Manifest
from stonnx.artifact.rules import check_manifest
from stonnx.artifact.versions import check_version, upgraded
from stonnx.errors import ArtifactError

__all__ = ["manifest_from_json", "manifest_to_json"]

_MAX_DEPTH = 32  # of stages[].options, the only free-form value
_MAX_INTEGER = 2**63 - 1

T = TypeVar("T")


def manifest_to_json(m: Manifest) -> dict[str, object]:
    """The manifest as JSON values, ``schema_version`` first, tuples as lists."""
    plain = cast("dict[str, object]", _plain(m))
    return {"schema_version": plain.pop("schema_version"), **plain}


def manifest_from_json(v: object) -> Manifest:
    """The manifest that a parsed ``stonnx.json`` describes; an older layout is read as what it means in this one.

    Args:
        v: What a JSON parser returned.

    Raises:
        ArtifactError: A newer ``schema_version``, an unknown or missing key, a value of the wrong
            type or against the rules of ``docs/artifact.md``; the message names the key path.
    """
    check_version(v)
    manifest = cast("Manifest", _decode(Manifest, upgraded(v), ""))
    check_manifest(manifest)
    return manifest


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _decode(kind: Any, value: object, where: str) -> object:
    """``value`` as ``kind``, a type annotation of ``manifest.py``; ``where`` is the key path."""
    if dataclasses.is_dataclass(kind):
        return _decode_record(cast("type", kind), value, where)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):  # "X | None", and records that are told apart by their keys
        options = [option for option in get_args(kind) if option is not types.NoneType]
        return None if value is None else _decode(_fitting(options, value), value, where)
    if origin is tuple:
        items = _expect(list, "a list", value, where)
        return tuple(_decode(get_args(kind)[0], item, f"{where}[{n}]") for n, item in enumerate(items))
    if origin is dict:
        members = _expect(dict, "an object", value, where)
        return {key: _decode(get_args(kind)[1], item, _path(where, key)) for key, item in members.items()}
    if origin is Literal:
        return _decode_choice(get_args(kind), value, where)
    if kind is object:
        return _decode_free(value, where, _MAX_DEPTH)
    return _decode_scalar(kind, value, where)


def _decode_record(kind: type, value: object, where: str) -> object:
    members = _expect(dict, "an object", value, where)
    hints = _hints(kind)
    for key in members:
        if key not in hints:
            raise ArtifactError(
                f"{_path(where, key)}: unknown key; expected {', '.join(hints)}.",
                hint=f"If a newer stonnx wrote this artifact: {UPGRADE}",
            )
    for key in hints:
        if key not in members:
            raise ArtifactError(f"{_path(where, key)}: missing key.")
    return kind(**{key: _decode(hint, members[key], _path(where, key)) for key, hint in hints.items()})


def _fitting(records: list[Any], value: object) -> Any:
    """The record whose keys are those of ``value``; where none fits, the one that shares the most."""
    keys = set(value) if isinstance(value, dict) else set()
    return max(records, key=lambda record: len(keys & set(_hints(record)))) if len(records) > 1 else records[0]


def _decode_choice(choices: tuple[object, ...], value: object, where: str) -> object:
    if not isinstance(value, str) or value not in choices:
        raise _wrong(f"one of {', '.join(map(repr, choices))}", value, where)
    return value


def _decode_scalar(kind: type, value: object, where: str) -> object:
    if kind is bool:
        return _expect(bool, "true or false", value, where)
    if kind is str:
        return _expect(str, "a string", value, where)
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise _wrong("an integer" if kind is int else "a number", value, where)
    if not math.isfinite(value) if isinstance(value, float) else abs(value) > _MAX_INTEGER:
        raise _wrong("a finite number below 2^63", value, where)
    return value if kind is int else float(value)


def _decode_free(value: object, where: str, depth: int) -> object:
    """Any JSON value, as long as it is one."""
    if depth == 0:
        raise ArtifactError(f"{where}: nested more than {_MAX_DEPTH} levels deep.")
    if isinstance(value, list):
        return [_decode_free(item, f"{where}[{n}]", depth - 1) for n, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: _decode_free(item, _path(where, key), depth - 1) for key, item in value.items()}
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return _decode_scalar(type(value), value, where)
    raise _wrong("a JSON value", value, where)


def _expect(kind: type[T], name: str, value: object, where: str) -> T:
    if not isinstance(value, kind):
        raise _wrong(name, value, where)
    return value


def _wrong(expected: str, value: object, where: str) -> ArtifactError:
    shown = repr(value) if not isinstance(value, int) or abs(value) <= _MAX_INTEGER else "an integer beyond 64 bits"
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return ArtifactError(f"{where or 'the top level'}: expected {expected}, found {shown}.")


def _path(where: str, key: str) -> str:
    """A key path; long keys are cut, because every key below repeats them."""
    key = key if len(key) <= 80 else f"{key[:77]}..."
    return f"{where}.{key}" if where else key


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
