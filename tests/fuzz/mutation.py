"""Bytes that are a little broken: JSON with one value replaced, or bytes cut, changed, repeated and joined."""

from __future__ import annotations

import json
import random
from typing import Any

__all__ = ["mutated"]

_JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    0.5,
    1e308,
    2**31,
    2**63,
    10**30,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\0",
    "\ud800",
    "../x",
    "/dev/zero",
    "a" * 5000,
    [],
    {},
    [None],
    [[]] * 100,
    {"x": []},
    {"": {"": ""}},
)
_PIECES = (
    b"\0",
    b"\xff",
    b"\xff" * 10,
    b"[",
    b"]",
    b'"',
    b"{",
    b"\n",
    b"9" * 30,
    b"9" * 5000,
    b"\xc3",
    b"\xef\xbb\xbf",
)


def mutated(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """``data`` after one to four changes.

    Args:
        data: A good input.
        rng: Where chance comes from.
        others: Further good inputs to join it with.
    """
    for _ in range(rng.randint(1, 4)):
        change = rng.choice((_json, _json, _flip, _cut, _repeat, _insert, _join))
        data = change(data, rng, others)
    return data


def _json(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """One value of a JSON text replaced, removed or doubled; what is no JSON is changed as bytes."""
    start = next((place for place in range(2) if data[place : place + 1] in (b"{", b"[")), None)
    try:
        if start is None:
            return _flip(data, rng, others)
        value = json.loads(data[start:])
    except (ValueError, RecursionError):
        return _flip(data, rng, others)
    places = _places(value)
    if not places:
        return data
    holder, key = rng.choice(places)
    if rng.random() < 0.1 and isinstance(holder, dict):
        del holder[key]
    elif rng.random() < 0.1 and isinstance(holder, dict):
        holder[str(rng.choice(_JUNK))] = holder[key]
    else:
        holder[key] = rng.choice(_JUNK) if rng.random() < 0.8 else rng.choice(places)[0]
    try:
        return data[:start] + json.dumps(value).encode()
    except (ValueError, RecursionError):  # a value that now holds itself, or a number of thousands of digits
        return data


def _places(value: object) -> list[tuple[Any, Any]]:
    """Every holder and key in a JSON value, at most some of each holder's."""
    found: list[tuple[Any, Any]] = []
    level = [value]
    while level and len(found) < 500:
        inner: list[object] = []
        for holder in level:
            if isinstance(holder, dict | list):
                keys = list(holder)[:40] if isinstance(holder, dict) else list(range(min(len(holder), 40)))
                found += [(holder, key) for key in keys]
                inner += [holder[key] for key in keys]
        level = inner
    return found


def _flip(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    if not data:
        return rng.choice(_PIECES)
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, data[at] ^ 1 << rng.randrange(8)))]) + data[at + 1 :]


def _cut(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    first, last = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    return data[:first] + data[last:] if rng.random() < 0.5 else data[:last]


def _repeat(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    first = rng.randint(0, len(data))
    part = data[first : first + rng.randint(1, 40)]
    return data[:first] + part * rng.choice((2, 3, 50)) + data[first:]


def _insert(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(_PIECES) + data[at:]


def _join(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]
