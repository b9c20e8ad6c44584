"""What an Arrow file or stream says it holds: the heads of its batches, read before anything is unpacked.

pyarrow takes a batch at its word: its rows, the places of its buffers and what these unpack to may be any numbers. The heads are
flatbuffers; of each only these numbers are read. See "Serialization and interprocess communication" in
arrow.apache.org/docs/format/Columnar.html, Message.fbs and File.fbs there, and flatbuffers.dev/internals.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_CONTINUATION, _END_OF_FILE = -1, 10  # the length of the footer and "ARROW1"
_DICTIONARY, _BATCH = 2, 3
_BLOCK = struct.Struct("<qi4xq")


class Held(NamedTuple):
    """The rows of all batches together, and the bytes that their buffers and those of dictionaries unpack to."""

    rows: int
    unpacked: int


class _Table:
    """A table of a flatbuffer: its fields are found by their number."""

    def __init__(self, data: memoryview, at: int) -> None:
        self.data, self.at = data, at
        self._fields = at - _number("<i", data, at)
        self._end = self._fields + _number("<H", data, self._fields)

    def place(self, field: int) -> int | None:
        """Where a field stands; None for one that is left out, which has its default."""
        entry = self._fields + 4 + 2 * field
        offset = _number("<H", self.data, entry) if entry + 2 <= self._end else 0
        return self.at + offset if offset else None

    def number(self, field: int, kind: str = "<q") -> int:
        """The number of a field, 0 by default."""
        place = self.place(field)
        return 0 if place is None else _number(kind, self.data, place)

    def table(self, field: int) -> _Table | None:
        """The table that a field refers to."""
        place = self.place(field)
        return None if place is None else _Table(self.data, place + _number("<I", self.data, place))

    def bytes_of(self, field: int, size: int) -> memoryview:
        """The bytes of a vector of structs of a size."""
        place = self.place(field)
        if place is None:
            return self.data[:0]
        start = place + _number("<I", self.data, place)
        end = start + 4 + size * _number("<I", self.data, start)
        if end > len(self.data):
            raise ValueError("a list that reaches beyond its message")
        return self.data[start + 4 : end]


def held(data: memoryview, *, is_file: bool) -> Held:
    """Add up what all batches say of themselves.

    Parameters
    ----------
    data : memoryview
        The whole file or stream.
    is_file : bool
        With a footer, which says where its batches are; else they follow each other.

    Raises
    ------
    ValueError
        Numbers that cannot be: below zero, or beyond the message, its body or the file.
    """
    rows = unpacked = 0
    for head, body in _in_file(data) if is_file else _in_stream(data):
        kind, content = head.number(1, "<B"), head.table(2)
        batch = content.table(1) if content and kind == _DICTIONARY else content
        if batch is None or kind not in {_DICTIONARY, _BATCH}:
            continue
        length = batch.number(0)
        if length < 0:
            raise ValueError(f"a batch of {length} rows")
        rows += length if kind == _BATCH else 0
        unpacked += _unpacked(batch, body)
    return Held(rows, unpacked)


def _in_stream(data: memoryview) -> Iterator[tuple[_Table, memoryview]]:
    at = 0
    while at + 4 <= len(data):
        head, start = _head(data, at)
        if head is None:
            return
        length = head.number(3)
        yield head, _part(data, start, length)
        at = start + length


def _in_file(data: memoryview) -> Iterator[tuple[_Table, memoryview]]:
    end = len(data) - _END_OF_FILE
    size = _number("<i", data, end)
    footer = _part(data, end - size, size)
    table = _Table(footer, _number("<I", footer, 0))
    for field in (2, 3):
        for offset, head_length, length in _BLOCK.iter_unpack(table.bytes_of(field, _BLOCK.size)):
            head, start = _head(data, offset)
            if head is None or start != offset + head_length or head.number(3) != length:
                raise ValueError("a batch other than the footer says")
            yield head, _part(data, start, length)


def _head(data: memoryview, at: int) -> tuple[_Table | None, int]:
    """The head of the message at a place, and where its body begins; None at the end of a stream."""
    size, start = _number("<i", data, at), at + 4
    if size == _CONTINUATION:  # which writers before 2019 left out
        size, start = _number("<i", data, start), start + 4
    if not size:
        return None, start
    message = _part(data, start, size)
    return _Table(message, _number("<I", message, 0)), start + size


def _unpacked(batch: _Table, body: memoryview) -> int:
    """What the buffers of a batch unpack to: each packed one begins with that, or with -1 where packing did not pay."""
    buffers = np.frombuffer(batch.bytes_of(2, 16), dtype="<i8").reshape(-1, 2)
    start, size = buffers[:, 0], buffers[:, 1]
    if (buffers < 0).any() or (start > len(body)).any() or (size > len(body) - start).any():
        raise ValueError("a buffer beyond its batch")
    if batch.table(3) is None:
        return int(size.sum())
    total = 0
    for at, length in buffers[size > 0].tolist():
        said = _number("<q", body, at)
        if said < -1:
            raise ValueError(f"a buffer that unpacks to {said} bytes")
        total += length if said == -1 else said
    return total


def _part(data: memoryview, start: int, size: int) -> memoryview:
    if start < 0 or size < 0 or size > len(data) - start:
        raise ValueError(f"a message of {size} bytes at byte {start}")
    return data[start : start + size]


def _number(kind: str, data: memoryview, at: int) -> int:
    if not 0 <= at <= len(data) - struct.calcsize(kind):
        raise ValueError("an incomplete message")
    (number,) = struct.unpack_from(kind, data, at)
    return int(number)
