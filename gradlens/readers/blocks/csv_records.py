"""Separated values record by record: cells that go on over several lines, stray quotes, other names from some line on."""

from __future__ import annotations

import bisect
import csv
import io
from typing import TYPE_CHECKING

from gradlens.readers.base import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlens.readers.base import NoticeBook


class Records:
    """The records of the text below a header.

    A quote that is never closed, or whose cell would swallow lines that are rows themselves, is a stray one: it costs its own
    line and not the rest of the log. `width` is the number of cells of a row, which whoever goes through the records may
    change.
    """

    def __init__(self, text: str, separator: str, width: int, book: NoticeBook, n_before: int) -> None:
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._separator, self.width = separator, width
        self._book, self._n_before = book, n_before

    def __iter__(self) -> Iterator[tuple[int, list[str], bool]]:
        """The number of the last line of each record, its cells, and whether the text ends right there."""
        odd = [number for number, line in enumerate(self._lines) if line.count('"') % 2]
        at = 0
        while at < len(self._lines):
            end = at
            if self._lines[at].count('"') % 2:
                after = bisect.bisect_right(odd, at)
                end = odd[after] if after < len(odd) and self._belong(at, odd[after]) else -1
            cells = self._cells("\n".join(self._lines[at : end + 1])) if end >= at else None
            if cells is None:
                where = f"line {self._n_before + at + 1}"
                self._book.add("malformed-record", "not a row of the table (a stray quote?), left out", where)
                at += 1
                continue
            yield self._n_before + end + 1, cells, end == len(self._lines) - 1
            at = end + 1

    def _belong(self, first: int, last: int) -> bool:
        """Whether lines are one record with a cell of several lines: none but the first could be a row."""
        return not any(self._is_row(line) for line in self._lines[first + 1 : last + 1])

    def _is_row(self, line: str) -> bool:
        cells = line.replace('"', "").split(self._separator)
        return len(cells) == self.width and parse_number(cells[0]) is not None

    def _cells(self, text: str) -> list[str] | None:
        try:
            return next(csv.reader(io.StringIO(text, newline=""), delimiter=self._separator, strict=False), [])
        except csv.Error:
            return None
