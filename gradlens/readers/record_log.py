"""The container of W&B's `.wandb` files: a record log in the style of LevelDB.

Seven bytes `:W&B`, a magic number and a version; then blocks of 32 KiB. A record has a header of seven bytes (CRC-32 of
type and data, length, type) and is split at block borders into first, middle and last parts.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from gradlens.readers.base import NoticeBook
from gradlens.sources.files import Source

MAGIC = b":W&B"
_FILE_HEADER = 7
_BLOCK = 32768
_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
#: The checksum of a record's type, which that of its data goes on from.
_TYPE_CHECKSUM = {kind: zlib.crc32(bytes([kind])) for kind in (_FULL, _FIRST, _MIDDLE, _LAST)}
#: What `_parts` yields in place of a kind where the chain of parts is broken.
_BROKEN = 0


def records(source: Source, book: NoticeBook) -> Iterator[tuple[int, bytes]]:
    """The whole records and where they begin; a damaged one costs itself and at most the rest of its block."""
    parts: list[bytes] = []
    begin = 0
    for at, kind, part in _parts(source, book):
        if kind == _FULL and not parts:
            yield at, part
            continue
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


def _blocks(source: Source) -> Iterator[tuple[int, bytes, bool]]:
    """Place and bytes of each block, and whether it is the last."""
    with source.open() as handle:
        place, block = 0, handle.read(_BLOCK)
        while block:
            following = handle.read(_BLOCK)
            yield place, block, not following
            place, block = place + _BLOCK, following


def _parts(source: Source, book: NoticeBook) -> Iterator[tuple[int, int, bytes]]:
    """Place, kind and data of each part of a record."""
    unpack, crc32, header = _HEADER.unpack_from, zlib.crc32, _HEADER.size
    for place, block, is_last in _blocks(source):
        at, size = _FILE_HEADER if place == 0 else 0, len(block)
        # Padding stands where a header does not fit any more, and a block may never have been written.
        while at < size and _BLOCK - at >= header and any(block[at : at + header]):
            body = at + header
            checksum, length, kind = unpack(block, at) if body <= size else (0, size, 0)
            end = body + length
            if end > size and is_last:
                _cut(book, place + at)
                return
            part = block[body:end]
            if end > size or kind not in _TYPE_CHECKSUM or crc32(part, _TYPE_CHECKSUM[kind]) != checksum:
                book.add(
                    "damaged-record",
                    "wrong checksum; the rest of its 32 KiB block was left out",
                    f"byte {place + at}",
                )
                yield place + at, _BROKEN, b""
                break
            yield place + at, kind, part
            at = end


def _cut(book: NoticeBook, at: int) -> None:
    book.add("truncated-record", "the file ends inside a record: the run was killed", f"byte {at}")
