"""W&B's `.wandb` files, without the W&B package: a LevelDB-style record log of protobuf messages.

The container: seven bytes `:W&B`, a magic number and a version; then blocks of 32 KiB. A record has a header of seven
bytes (CRC-32 of type and data, length, type) and is split at block borders into first, middle and last parts. Each whole
record is one protobuf `Record`, of which history, configuration and run settings matter here. The wire format is decoded
by hand: fields that are not known, whatever the version of W&B, are passed over.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from gradlens.errors import MalformedLogError, NoTrainingSeriesError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, TableBuilder, as_float
from gradlens.source import Source

_MAGIC = b":W&B"
_FILE_HEADER = 7
_BLOCK = 32768
_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
#: Field numbers of wandb_internal.proto.
_HISTORY, _CONFIG, _RUN = 2, 5, 17
_ITEM, _STEP = 1, 2
_KEY, _NESTED_KEY, _INTEGER, _NUMBER, _TEXT, _JSON, _VALUE_JSON = 1, 2, 5, 6, 7, 8, 16
_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5


class WandbOfflineReader(Reader):
    """A run that W&B wrote offline (or before it was synced)."""

    name = "wandb"

    def sniff(self, source: Source) -> float:
        return 1.0 if source.head.startswith(_MAGIC) else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        book, table = NoticeBook(), TableBuilder()
        config: dict[str, Any] = {}
        for place, record in _records(source.read_bytes(), book):
            try:
                for number, value in fields(record):
                    if number == _HISTORY and isinstance(value, bytes):
                        row = _history(value, options)
                        if row:
                            table.add(row)
                    elif number == _CONFIG and isinstance(value, bytes):
                        config.update(_config(value))
                    elif number == _RUN and isinstance(value, bytes):
                        for inner, part in fields(value):
                            if inner == 4 and isinstance(part, bytes):
                                config.update(_config(part))
            except ValueError as error:
                book.add(
                    "malformed-record", f"a record that is no protobuf message, left out: {error}", f"byte {place}"
                )
        if table.n_rows == 0:
            raise NoTrainingSeriesError(
                f"{source.name}: a W&B file without a history record",
                hint="the run ended before it logged anything, or only its console output was kept",
            )
        return [
            RawRun(
                columns=table.columns(),
                n_rows=table.n_rows,
                config={k: v for k, v in config.items() if k != "_wandb"},
                notices=book.notices(),
            )
        ]


def _records(data: bytes, book: NoticeBook) -> Iterator[tuple[int, bytes]]:
    """The whole records and where they begin. A damaged one costs itself and at most the rest of its block."""
    if not data.startswith(_MAGIC):
        raise MalformedLogError("not a W&B file", hint="a .wandb file starts with ':W&B'")
    at, size = _FILE_HEADER, len(data)
    parts: list[bytes] = []
    begin = at
    while at < size:
        left = _BLOCK - at % _BLOCK
        if left < _HEADER.size:
            at += left  # zero padding: a header does not fit any more
            continue
        if at + _HEADER.size > size:
            book.add("truncated-record", "the file ends inside a record: the run was killed", f"byte {at}")
            return
        checksum, length, kind = _HEADER.unpack_from(data, at)
        body = at + _HEADER.size
        if kind == 0 and length == 0 and checksum == 0:
            at += left  # a block that was preallocated and never written
            continue
        if body + length > size:
            book.add("truncated-record", "the file ends inside a record: the run was killed", f"byte {at}")
            return
        part = data[body : body + length]
        if kind not in {_FULL, _FIRST, _MIDDLE, _LAST} or zlib.crc32(part, zlib.crc32(bytes([kind]))) != checksum:
            book.add(
                "damaged-record",
                "a record with a wrong checksum; the rest of its 32 KiB block was left out",
                f"byte {at}",
            )
            parts = []
            at += left
            continue
        if kind in {_FULL, _FIRST}:
            if parts:
                book.add("damaged-record", "a record without an end, left out", f"byte {begin}")
            parts, begin = [], at
        elif not parts:
            book.add("damaged-record", "a part of a record without its beginning, left out", f"byte {at}")
            at = body + length
            continue
        parts.append(part)
        at = body + length
        if kind in {_FULL, _LAST}:
            yield begin, b"".join(parts)
            parts = []
    if parts:
        book.add("truncated-record", "the file ends inside a record: the run was killed", f"byte {begin}")


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Number and value of each field of a protobuf message.

    Raises
    ------
    ValueError
        The bytes are no message.
    """
    at, size = 0, len(message)
    while at < size:
        tag, at = _varint(message, at)
        kind = tag & 7
        value: int | float | bytes
        if kind == _VARINT:
            value, at = _varint(message, at)
        elif kind == _I64:
            if at + 8 > size:
                raise ValueError("a field is cut off")
            value, at = struct.unpack_from("<d", message, at)[0], at + 8
        elif kind == _LEN:
            length, at = _varint(message, at)
            if at + length > size:
                raise ValueError("a field is cut off")
            value, at = message[at : at + length], at + length
        elif kind == _I32:
            if at + 4 > size:
                raise ValueError("a field is cut off")
            value, at = struct.unpack_from("<f", message, at)[0], at + 4
        else:
            raise ValueError(f"unknown wire type {kind}")
        yield tag >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(message):
            raise ValueError("a number is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("a number of more than ten bytes")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _history(message: bytes, options: ReadOptions) -> dict[str, float]:
    row: dict[str, float] = {}
    for number, value in fields(message):
        if number == _ITEM and isinstance(value, bytes):
            name, found = _item(value)
            if name and options.wanted(name):
                _put(row, name, found, 0)
        elif number == _STEP and isinstance(value, bytes):
            row.setdefault(
                "_step", float(next((_signed(v) for n, v in fields(value) if n == 1 and isinstance(v, int)), 0))
            )
    return row if set(row) - {"_step", "_runtime", "_timestamp"} else {}


def _put(row: dict[str, float], name: str, value: Any, depth: int) -> None:
    number = as_float(value)
    if number is not None:
        row[name] = number
    elif isinstance(value, dict) and "_type" not in value and depth < 4:
        for key, inner in value.items():
            _put(row, f"{name}/{key}", inner, depth + 1)


def _item(message: bytes) -> tuple[str, Any]:
    """Name and value of a history or configuration item; several nested keys are joined by a slash."""
    key, nested, value = "", list[str](), None
    for number, part in fields(message):
        if isinstance(part, bytes):
            if number == _KEY:
                key = part.decode("utf-8", errors="replace")
            elif number == _NESTED_KEY:
                nested.append(part.decode("utf-8", errors="replace"))
            elif number in {_VALUE_JSON, _JSON}:
                value = _json(part)
            elif number == _TEXT:
                value = part.decode("utf-8", errors="replace")
        elif number == _INTEGER and isinstance(part, int):
            value = _signed(part)
        elif number == _NUMBER:
            value = part
    return "/".join(nested) or key, value


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _config(message: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, value in fields(message):
        if number == 1 and isinstance(value, bytes):
            name, item = _item(value)
            found[name.replace("/", ".")] = item
    return found
