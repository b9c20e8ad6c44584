"""The container of W&B's `.wandb` files: a record log in the style of LevelDB.

Seven bytes `:W&B`, a magic number and a version; then blocks of 32 KiB. A record has a header of seven bytes (CRC-32 of
type and data, length, type) and is split at block borders into first, middle and last parts.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from gradlens.readers.base import NoticeBook

MAGIC = b":W&B"
_FILE_HEADER = 7
_BLOCK = 32768
_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
#: What `_parts` yields in place of a kind where the chain of parts is broken.
_BROKEN = 0


def records(data: bytes, book: NoticeBook) -> Iterator[tuple[int, bytes]]:
    """The whole records and where they begin; a damaged one costs itself and at most the rest of its block."""
    parts: list[bytes] = []
    begin = 0
    for at, kind, part in _parts(data, book):
        if kind in {_FULL, _FIRST}:
            if parts:
                book.add("damaged-record", "a record without an end, left out", f"byte {begin}")
            parts, begin = [part], at
        elif kind != _BROKEN and parts:
            parts.append(part)
        elif kind != _BROKEN:
            book.add("damaged-record", "a part of a record without its beginning, left out", f"byte {at}")
            continue
        else:
            parts = []
        if kind in {_FULL, _LAST}:
            yield begin, b"".join(parts)
            parts = []
    if parts:
        _cut(book, begin)


def _parts(data: bytes, book: NoticeBook) -> Iterator[tuple[int, int, bytes]]:
    """Place, kind and data of each part of a record."""
    at, size = _FILE_HEADER, len(data)
    while at < size:
        left = _BLOCK - at % _BLOCK
        if left < _HEADER.size or not any(data[at : at + _HEADER.size]):
            at += left  # padding where a header does not fit any more, or a block that was never written
            continue
        body = at + _HEADER.size
        checksum, length, kind = _HEADER.unpack_from(data, at) if body <= size else (0, size, 0)
        if body + length > size:
            _cut(book, at)
            return
        part = data[body : body + length]
        if kind not in {_FULL, _FIRST, _MIDDLE, _LAST} or zlib.crc32(part, zlib.crc32(bytes([kind]))) != checksum:
            book.add("damaged-record", "a wrong checksum; the rest of its 32 KiB block was left out", f"byte {at}")
            yield at, _BROKEN, b""
            at += left
            continue
        yield at, kind, part
        at = body + length


def _cut(book: NoticeBook, at: int) -> None:
    book.add("truncated-record", "the file ends inside a record: the run was killed", f"byte {at}")
