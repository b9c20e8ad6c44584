"""The records of an event file, found without a Python step for each.

A record is a length (uint64), the masked CRC-32C of those eight bytes, the data, and the masked CRC-32C of the data
(TensorFlow, ``tensorflow/core/lib/io/record_writer.h``). Where a record begins is known only from the one before. But
trainers write the same tags repeatedly, so the lengths repeat in a cycle: after two equal cycles the reader
guesses that the file goes on like this and compares all of a window with the guess at once. Where a guess ends (a step
that needs one more byte, a validation, a text) it walks record by record until it finds a cycle again.

A window is one reused buffer, so memory stays bounded whatever the size of the file. Reading into it took no longer
than touching the pages of a memory map, and the checksums need bytes that can be changed.
"""

from __future__ import annotations

from dataclasses import field
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from gradlens.frozen import frozen
from gradlens.readers.events.crc32c import FOOTER, HEADER, damaged_rows, header_of, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradlens.readers.base import NoticeBook
    from gradlens.readers.events.layout import Layout, Layouts

WINDOW = 4 << 20
_MAX_WINDOW = 64 << 20
#: A window holds at least this many rows of a cycle, as long as it stays below the largest.
_ROWS = 512
#: Bytes looked at together: few after damage, since the next header is likely near, then more and more.
_FIRST_SEGMENT, _SEGMENT = 1 << 11, 1 << 20
#: Records walked before looking for a cycle, and at most between two attempts to find one; a cycle has at most half as many.
_FIRST_LOOK, _LAST_LOOK = 64, 1 << 14
#: Records that must repeat before a short cycle is believed.
_REPEATS = 16
#: Shorter stretches are not worth an array operation for each of their records.
_WORTHWHILE = 48
_EMPTY_HEADER_CRC = int.from_bytes(header_of(0)[8:], "little")


@frozen(eq=False)
class Cycle:
    """Rows of records that repeat: uint8[m, size], checksums verified; `position` is the first byte's in the file."""

    block: NDArray[np.uint8]
    position: int
    starts: tuple[int, ...]
    layouts: tuple[Layout, ...]


@frozen(eq=False)
class Window:
    """A stretch of the file: its cycles, and the other records by place in `data` and length (not yet verified)."""

    data: NDArray[np.uint8]
    position: int
    cycles: list[Cycle] = field(default_factory=list)
    starts: list[NDArray[np.int64]] = field(default_factory=list)
    lengths: list[NDArray[np.int64]] = field(default_factory=list)


@frozen(eq=False)
class _Pattern:
    row: NDArray[np.uint8]
    fixed: NDArray[np.uint8]
    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    layouts: tuple[Layout, ...]


class FrameReader:
    """Goes through one file once."""

    def __init__(self, handle: BinaryIO, layouts: Layouts, book: NoticeBook, name: str) -> None:
        self._handle = handle
        self._layouts = layouts
        self._book = book
        self._name = name
        self._buffer = np.empty(WINDOW, np.uint8)
        self._filled = self._at = self._base = 0
        self._at_end = False
        self._sizes: dict[bytes, int] = {}
        self._pattern: _Pattern | None = None
        self._is_lost = False

    def windows(self) -> Iterator[Window]:
        """The file, window by window; the arrays of a window are reused for the next."""
        wanted = HEADER
        while not self._at_end:
            self._fill(wanted)
            window = Window(data=self._buffer[: self._filled], position=self._base)
            wanted = self._scan(window)
            yield window
        if self._filled > self._at and not self._is_lost:
            where = f"{self._name}: byte {self._base + self._at}"
            self._book.add("truncated-record", "the last record is cut off (still being written?), left out", where)

    def _fill(self, wanted: int) -> None:
        """Move what is left to the front and read on, until the buffer is full or the file ends."""
        left = self._filled - self._at
        size = len(self._buffer)
        if self._pattern is not None:
            size = max(size, min(len(self._pattern.row) * _ROWS, _MAX_WINDOW))
        while size < wanted:
            size *= 2
        buffer = self._buffer if size == len(self._buffer) else np.empty(size, np.uint8)
        buffer[:left] = self._buffer[self._at : self._filled]
        self._buffer = buffer
        self._base += self._at
        self._at, self._filled = 0, left
        view = buffer.data
        while self._filled < size:
            got = self._handle.readinto(view[self._filled :])  # type: ignore[attr-defined]
            if not got:
                self._at_end = True
                break
            self._filled += got

    def _scan(self, window: Window) -> int:
        """Find all whole records of the window; the bytes that the next one needs."""
        recent: list[int] = []
        look = _FIRST_LOOK
        while True:
            if self._pattern is not None:
                begin = self._at
                if self._follow(self._pattern, window) and not self._at_end:
                    return len(self._pattern.row)
                # After a wrong guess, wait before guessing again.
                is_good = self._at - begin > look * len(self._pattern.row) // len(self._pattern.starts)
                look = _FIRST_LOOK if is_good else min(look * 2, _LAST_LOOK)
                self._pattern = None
                recent = []
            starts, wanted = self._walk(window, look)
            if wanted:
                return wanted
            if self._is_lost:
                recent = []
                wanted = self._resynchronise()
                if wanted:
                    return wanted
                continue
            recent += starts
            self._pattern = self._find_pattern(recent)
            if self._pattern is None:
                look = min(look * 2, _LAST_LOOK)
                del recent[:-_LAST_LOOK]

    def _walk(self, window: Window, limit: int) -> tuple[list[int], int]:
        """Go at most `limit` records on: where they start, and the bytes wanted if the window ends before."""
        starts: list[int] = []
        sizes: list[int] = []
        at = segment_at = self._at
        segment, size_of_segment = b"", _FIRST_SEGMENT
        wanted, was_lost = 0, self._is_lost
        self._is_lost = False
        known = self._sizes.get
        while len(starts) < limit:
            header = segment[at - segment_at : at - segment_at + HEADER]
            if len(header) < HEADER:
                if self._filled - at < HEADER:
                    wanted = HEADER
                    break
                segment_at = at
                segment = self._buffer[at : min(at + size_of_segment, self._filled)].tobytes()
                size_of_segment = min(4 * size_of_segment, _SEGMENT)
                continue
            size = known(header) or self._size_of(header)
            if size is None:
                self._is_lost = True
                break
            if at + size > self._filled:
                wanted = size
                break
            starts.append(at)
            sizes.append(size)
            at += size
        if self._is_lost and not (was_lost and not starts):
            where = f"{self._name}: byte {self._base + at}"
            self._book.add("damaged-record", "records whose checksum does not match, left out", where)
        self._at = at
        if starts:
            window.starts.append(np.array(starts, np.int64))
            window.lengths.append(np.array(sizes, np.int64) - (HEADER + FOOTER))
        return starts, wanted

    def _size_of(self, header: bytes) -> int | None:
        """The whole size of the record with this header, or None where its checksum does not fit."""
        length = int.from_bytes(header[:8], "little")
        # No message is longer than 2 GiB, so that a larger number is damage too.
        if length >= 1 << 31 or header_of(length) != header:
            return None
        if len(self._sizes) < _LAST_LOOK:
            self._sizes[header] = length + HEADER + FOOTER
        return length + HEADER + FOOTER

    def _resynchronise(self) -> int:
        """Go to the next valid header; the bytes wanted if the window has none."""
        first, last, size = self._at + 1, self._filled - HEADER, _FIRST_SEGMENT
        while first <= last:
            stop, size = min(first + size, last + 1), min(4 * size, _SEGMENT)
            for place in _header_places(self._buffer[first : stop + HEADER - 1]):
                if self._size_of(self._buffer[first + place : first + place + HEADER].tobytes()) is not None:
                    self._at = first + int(place)
                    self._is_lost = False
                    return 0
            first = stop
        # Where the window ends before a header was found, the search goes on in the next one without a new notice.
        self._at = max(self._at, last)
        return HEADER + 1

    def _find_pattern(self, recent: list[int]) -> _Pattern | None:
        """The cycle in which the records that start at `recent` came, up to here, or None."""
        ends = [*recent[1:], self._at]
        sizes = [end - start for start, end in zip(recent, ends, strict=True)]
        kinds: dict[int, object] = {}

        def kind(index: int) -> object:
            if index not in kinds:
                record = self._buffer[recent[index] + HEADER : ends[index] - FOOTER].tobytes()
                kinds[index] = self._layouts.of(record).kind
            return kinds[index]

        count = len(recent)
        for period in range(1, count // 2 + 1):
            span = period * (max(2, -(-_REPEATS // period)) - 1)
            if count < span + period or sizes[-1] != sizes[-1 - period] or kind(count - 1) != kind(count - 1 - period):
                continue
            if all(kind(index) == kind(index - period) for index in range(count - 2, count - span - 1, -1)):
                return self._pattern_of([*recent[-period:], self._at])
        return None

    def _pattern_of(self, edges: list[int]) -> _Pattern:
        row = self._buffer[edges[0] : edges[-1]].copy()
        starts = tuple(edge - edges[0] for edge in edges[:-1])
        lengths = tuple(end - start - HEADER - FOOTER for start, end in pairwise(edges))
        data = [slice(start + HEADER, start + HEADER + length) for start, length in zip(starts, lengths, strict=True)]
        layouts = tuple(self._layouts.of(row[part].tobytes()) for part in data)
        fixed = np.full(len(row), 0xFF, np.uint8)
        for part, layout in zip(data, layouts, strict=True):
            fixed[part] = ~layout.mask
            fixed[part.stop : part.stop + FOOTER] = 0
        return _Pattern(row=row, fixed=fixed, starts=starts, lengths=lengths, layouts=layouts)

    def _follow(self, pattern: _Pattern, window: Window) -> bool:
        """Take the rows that continue the pattern; whether they went on to the end of the window."""
        size = len(pattern.row)
        whole = (self._filled - self._at) // size
        block = self._buffer[self._at : self._at + whole * size].reshape(whole, size)
        fitting = _fitting(block, pattern)
        block = block[:fitting]
        if fitting * 8 >= _WORTHWHILE:
            self._take(block, pattern, window)
        elif fitting:
            self._leave(np.arange(fitting, dtype=np.int64) * size + self._at, pattern, window)
        self._at += fitting * size
        return fitting == whole

    def _take(self, block: NDArray[np.uint8], pattern: _Pattern, window: Window) -> None:
        """Add rows as cycles; damaged rows go with the loose records, where each is judged for itself."""
        stored = seal(block, pattern.starts, pattern.lengths)
        bad = damaged_rows(block)
        if bad:
            unseal(block, pattern.starts, pattern.lengths, stored)
            self._leave(np.array(bad, np.int64) * len(pattern.row) + self._at, pattern, window)
        first = 0
        for last in [*bad, len(block)]:
            if last > first:
                window.cycles.append(
                    Cycle(
                        block=block[first:last],
                        position=self._base + self._at + first * len(pattern.row),
                        starts=pattern.starts,
                        layouts=pattern.layouts,
                    )
                )
            first = last + 1

    @staticmethod
    def _leave(rows: NDArray[np.int64], pattern: _Pattern, window: Window) -> None:
        window.starts.append((rows[:, None] + np.array(pattern.starts, np.int64)).ravel())
        window.lengths.append(np.tile(np.array(pattern.lengths, np.int64), len(rows)))


def _fitting(block: NDArray[np.uint8], pattern: _Pattern) -> int:
    """How many rows from the first on differ from the pattern only where they may."""
    size = len(pattern.row)
    # Pieces that stay in the cache, the first ones small: a guess that is soon wrong should cost little.
    piece, first = 16, 0
    largest = max(16, (1 << 20) // size)
    while first < len(block):
        rows = block[first : first + piece]
        if (_varying(rows, pattern.row) & pattern.fixed).any():
            wrong = ((rows ^ pattern.row) & pattern.fixed).any(axis=1)
            return first + int(np.argmax(wrong))
        first += len(rows)
        piece = min(piece * 4, largest)
    return first


def _varying(rows: NDArray[np.uint8], row: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8[size]: the bits in which any of the rows differs from `row`."""
    size = len(row)
    fold = min(len(rows), -(-1024 // size))
    if fold > 1:
        # Rows of a few bytes are joined, since numpy pays for each row.
        even = len(rows) // fold * fold
        joined = _any_bit(rows[:even].reshape(-1, size * fold) ^ np.tile(row, fold))
        bits = _any_bit(joined.reshape(fold, size))
        return bits | _any_bit(rows[even:] ^ row)
    return _any_bit(rows ^ row)


def _any_bit(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    bits: NDArray[np.uint8] = np.bitwise_or.reduce(rows, axis=0)
    return bits


def _header_places(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where a header may stand: a length below 2**32 follows, and is zero only with the checksum of a zero length."""
    size = len(data) - HEADER + 1
    if size <= 0:
        return np.empty(0, np.int64)
    word = np.ndarray((len(data) - 3,), "<u4", np.ascontiguousarray(data), 0, (1,))
    length, high, crc = (word[shift : shift + size] for shift in (0, 4, 8))
    return np.flatnonzero((high == 0) & ((length != 0) | (crc == _EMPTY_HEADER_CRC)))
