"""Tables read block by block, and their columns joined."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradlens.readers.base import MAX_COLUMNS, Column, NoticeBook, ReadOptions, too_many_columns
from gradlens.vocabulary import is_measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

#: A column is preallocated at most this far ahead of its values, whatever the first block of a log suggests.
_MAX_FORESEEN = 1 << 24


class Problem(NamedTuple):
    """Something to notice, `line` counted from the start of the block (0)."""

    code: str
    message: str
    line: int
    times: int


@dataclass(slots=True)
class Table:
    """The columns of a block: by name, float64[n] and the rows int64[n] that hold a value."""

    n_lines: int = 0
    n_rows: int = 0
    columns: dict[str, tuple[NDArray[np.float64], NDArray[np.int64] | None]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    #: Texts by column that are neither empty nor a number.
    texts: Counter[str] = field(default_factory=Counter)
    #: What our own recorder wrote of itself: its key, the record, and the line.
    marks: list[tuple[str, dict[str, Any], int]] = field(default_factory=list)


def notice_texts(columns: Iterable[Column], texts: Mapping[str, int], book: NoticeBook) -> None:
    """Notice the texts by name of column that stood in columns of numbers, or throughout where numbers belong."""
    names = dict.fromkeys(column.name for column in columns)
    for name in names:
        book.add("text-cell", "texts in columns of numbers, left out", f"column {name!r}", texts.get(name, 0))
    for name, count in texts.items():
        if count and name not in names and is_measure(name):
            book.add("text-column", f"columns that hold no numbers were left out (first: {name})")


class TableJoiner:
    """Joins the tables of blocks into the columns of a log.

    The columns are preallocated and filled in place: pieces kept until the end and joined then would take twice the
    memory. `share` of `add` gives their expected length; memory that is never touched costs nothing. `name` is that of the log.
    """

    def __init__(self, options: ReadOptions, name: str) -> None:
        self._options = options
        self._name = name
        self._columns: dict[str, _Growing | None] = {}
        self._unread: dict[str, list[tuple[int, int, NDArray[np.int64] | None]]] = {}
        self.n_rows = 0

    def add(self, table: Table, share: float = 1.0) -> None:
        """Append the rows of one block, with which `share` of the log is read.

        Raises
        ------
        BeyondLimitError
            More than `MAX_COLUMNS` columns.
        """
        for name, (value, row) in table.columns.items():
            if name not in self._columns:
                self._columns[name] = _Growing() if self._options.wanted(name) else None
            column = self._columns[name]
            if column is not None:
                column.add(value, row, self.n_rows, share)
            else:
                self._unread.setdefault(name, []).append((self.n_rows, len(value), row))
        self.n_rows += table.n_rows
        if len(self._columns) > MAX_COLUMNS:
            raise too_many_columns(self._name)

    def columns(self) -> tuple[Column, ...]:
        """The columns; may be called once."""
        found = []
        for name, column in self._columns.items():
            if column is not None:
                value, row = column.finish(self.n_rows)
                found.append(Column(name=name, value=value, row=row))
        self._columns = {}
        return tuple(found)

    def unread_rows(self) -> tuple[NDArray[np.int64], ...]:
        """The rows with a value of each column that is not wanted and does not stand in every row."""
        return tuple(
            np.concatenate([np.arange(at, at + count) if row is None else at + row for at, count, row in pieces])
            for pieces in self._unread.values()
            if sum(count for _, count, _ in pieces) < self.n_rows
        )


class _Growing:
    """A column while it is read: its values, and their rows from the first row on that has none."""

    def __init__(self) -> None:
        self._count = 0
        self._value = np.empty(0)
        self._row: NDArray[np.int64] | None = None

    def add(self, value: NDArray[np.float64], row: NDArray[np.int64] | None, n_before: int, share: float) -> None:
        """Append values, which stand in all rows from `n_before` on or in rows counted from there."""
        if row is not None or self._count < n_before:
            self._number_rows()
        after = self._count + len(value)
        if after > len(self._value):
            foreseen = min(int(1.02 * after / share), _MAX_FORESEEN)
            size = max(after, foreseen, len(self._value) * 3 // 2)
            self._value = _longer(self._value, self._count, size)
            if self._row is not None:
                self._row = _longer(self._row, self._count, size)
        self._value[self._count : after] = value
        if self._row is not None:
            self._row[self._count : after] = (
                np.arange(n_before, n_before + len(value)) if row is None else row + n_before
            )
        self._count = after

    def _number_rows(self) -> None:
        if self._row is None:
            self._row = np.empty(len(self._value), np.int64)
            self._row[: self._count] = np.arange(self._count)

    def finish(self, n_rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
        """The values, and their rows unless every one of the `n_rows` has one."""
        if self._count < n_rows:
            self._number_rows()
        for array in (self._value, self._row):
            if array is not None:
                array.resize(self._count, refcheck=False)  # in place: the surplus was never touched
        return self._value, self._row if self._count < n_rows else None


def _longer(array: NDArray[Any], count: int, size: int) -> NDArray[Any]:
    """A copy of the first `count` items with room for `size`."""
    longer = np.empty(size, array.dtype)
    longer[:count] = array[:count]
    return longer
