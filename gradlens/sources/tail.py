"""The bytes of a growing file, each once, whatever becomes of the file.

A log may be rotated (renamed, and a new one begun under its name), truncated in place, replaced by another, or go away for a
while. The file stays open, so that what was written to it after it was renamed is not lost.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal

from gradlens.frozen import frozen

Change = Literal["", "grown", "rotated", "truncated", "replaced"]
#: Bytes before the end of what was read that must still be there.
_MARK = 64
#: At most so much is taken at once, so that a large log does not stand in memory twice.
MAX_PIECE = 1 << 26


@frozen
class News:
    """What became of the file since the last look.

    Attributes
    ----------
    change
        "" for nothing, `grown` (also by less than a line), or how other content took its place: `rotated` (another file under the
        name, the old one renamed), `replaced` (another file, the old one gone), `truncated` (the same file, emptied first).
    rest
        Whole lines that the file of before still got.
    data
        Whole lines that are new, those of the other content where there is one.
    more
        Whether there is more to take at once.
    """

    change: Change = ""
    rest: bytes = b""
    data: bytes = b""
    more: bool = False


class Tail:
    """Follows one file by name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: BinaryIO | None = None
        self._offset = 0
        self._mark = b""
        self._partial = b""

    def look(self) -> News:
        """What was written since the last look.

        Raises
        ------
        OSError
            There is no file, or none that can be read.
        """
        if self._handle is None:
            self._open()
            return self._take("grown")
        there = self._path.stat()
        here = os.fstat(self._handle.fileno())
        if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
            rest = self._read().data
            renamed = here.st_nlink > 0
            self._open()
            return replace(self._take("rotated" if renamed else "replaced"), rest=rest)
        if there.st_size < self._offset or not self._still_there():
            self._begin()
            return self._take("truncated")
        return self._take("grown")

    def close(self) -> None:
        """Let go of the file; the next look begins at its start."""
        if self._handle is not None:
            self._handle.close()
        self._handle = None
        self._begin()

    def _open(self) -> None:
        handle = self._path.open("rb")
        self.close()
        self._handle = handle

    def _begin(self) -> None:
        self._offset, self._mark, self._partial = 0, b"", b""

    def _still_there(self) -> bool:
        """Whether the file still holds what was read last: it may have been emptied and be longer than before by now."""
        return not self._mark or self._at(self._offset - len(self._mark), len(self._mark)) == self._mark

    def _at(self, place: int, size: int) -> bytes:
        assert self._handle is not None  # noqa: S101 -- opened by `look`
        self._handle.seek(place)
        return self._handle.read(size)

    def _read(self) -> News:
        """Whole lines from where reading stopped; the beginning of a line is kept until its end is there."""
        read = self._at(self._offset, MAX_PIECE)
        if not read:
            return News()
        self._offset += len(read)
        self._mark = (self._mark + read)[-_MARK:]
        data = self._partial + read
        end = data.rfind(b"\n") + 1
        self._partial = data[end:]
        return News(change="grown", data=data[:end], more=len(read) == MAX_PIECE)

    def _take(self, change: Change) -> News:
        found = self._read()
        return found if change == "grown" else replace(found, change=change)
