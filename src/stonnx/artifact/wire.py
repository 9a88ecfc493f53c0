"""The protobuf wire format, as far as walking a file needs it: fields and where they lie.

Format: https://protobuf.dev/programming-guides/encoding/. Importing ``onnx`` for this takes 0.7 s
and parsing copies inline weights; a walk skips them by length.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["DamagedError", "Field", "fields"]

Buffer = bytes | mmap.mmap

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_MAX_TAG = 2**32 - 1


class DamagedError(Exception):
    """The bytes are no protobuf message; never leaves the room."""


class Field(NamedTuple):
    """One field of a message: a number for a varint, else the bounds of its bytes.

    Attributes:
        number: Field number.
        value: The varint; None for every other wire type.
        start: First byte of a length-delimited field; equal to ``end`` for the other types.
        end: Behind the last byte.
    """

    number: int
    value: int | None
    start: int
    end: int


def fields(data: Buffer, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in ``data[start:end]``, in file order.

    Raises:
        DamagedError: A field reaches past the end, or has a wire type that ONNX never uses.
    """
    position = start
    while position < end:
        tag, position = _varint(data, position, end)
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or tag > _MAX_TAG:
            raise DamagedError(f"byte {position}: no field")
        if wire_type == _VARINT:
            value, position = _varint(data, position, end)
            yield Field(number, value, position, position)
            continue
        if wire_type == _LENGTH:
            size, position = _varint(data, position, end)
        elif wire_type in (_FIXED32, _FIXED64):
            size = 4 if wire_type == _FIXED32 else 8
        else:
            raise DamagedError(f"byte {position}: wire type {wire_type}")
        if size > end - position:
            raise DamagedError(f"byte {position}: a field of {size} bytes, {end - position} are left")
        if wire_type == _LENGTH:
            yield Field(number, None, position, position + size)
        position += size


def _varint(data: Buffer, position: int, end: int) -> tuple[int, int]:
    """The varint at ``position`` and the position after it."""
    value = 0
    for n in range(_MAX_VARINT_BYTES):
        if position >= end:
            raise DamagedError(f"byte {position}: the end, within a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << (7 * n)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
    raise DamagedError(f"byte {position}: a number of more than {_MAX_VARINT_BYTES} bytes")
