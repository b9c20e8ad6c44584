"""The wire format of protocol buffers: the fields of a message with the places of their bytes.

Only what decoding by place needs: a generated parser gives values but not where in the record they stand, and importing
one costs more time than reading a small log. See protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field: its number, wire type, and where its payload stands; `value` is that of a varint, else 0."""

    number: int
    wire: int
    start: int
    end: int
    value: int


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The unsigned number at `at` and where the next byte stands.

    Raises
    ------
    ValueError
        It does not end before `end` or within ten bytes.
    """
    result = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise ValueError(f"a varint that does not end at byte {at}")


def signed(number: int) -> int:
    """A varint read as int64."""
    return number - (1 << 64) if number >> 63 else number


def fields(data: bytes, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in `data[start:end]`.

    Raises
    ------
    ValueError
        Not a message: a field that reaches beyond the end, or a wire type that does not exist.
    """
    at = start
    while at < end:
        key, at = varint(data, at, end)
        number, wire = key >> 3, key & 7
        value = 0
        first = at
        if wire == VARINT:
            value, at = varint(data, at, end)
        elif wire == FIXED64:
            at += 8
        elif wire == FIXED32:
            at += 4
        elif wire == BYTES:
            size, first = varint(data, at, end)
            at = first + size
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if at > end or number == 0:
            raise ValueError(f"field {number} reaches beyond its message at byte {first}")
        yield Field(number, wire, first, at, value)


def text(data: bytes, field: Field) -> str:
    """A string field; bytes that are not UTF-8 become U+FFFD."""
    return data[field.start : field.end].decode("utf-8", errors="replace")


def double(data: bytes, field: Field) -> float:
    """A double field."""
    result: float = struct.unpack_from("<d", data, field.start)[0]
    return result
