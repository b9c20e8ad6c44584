"""Rows of numbers by name, kept together with the rows of the same names until they become columns."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from gradlens.readers.base import Column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_Piece = tuple["NDArray[np.int64]", "NDArray[np.float64]"]


class _Group:
    """The rows of one tuple of names: their numbers in the table, and their values one row after the other."""

    __slots__ = ("rows", "values")

    def __init__(self) -> None:
        self.rows, self.values = array("q"), array("d")


class GroupedRows:
    """Collects rows whose names repeat, as those of a log do: an entry takes eight bytes, a row eight more."""

    def __init__(self) -> None:
        self.n_rows = 0
        self._groups: dict[tuple[str, ...], _Group] = {}

    def add(self, names: tuple[str, ...], values: list[float]) -> None:
        """Append one row; without a name it counts as a row all the same."""
        if names:
            group = self._groups.get(names)
            if group is None:
                group = self._groups[names] = _Group()
            group.rows.append(self.n_rows)
            group.values.fromlist(values)
        self.n_rows += 1

    def counts(self) -> Iterator[tuple[tuple[str, ...], int]]:
        """Each tuple of names, in the order in which they first came, and how many rows have it."""
        return ((names, len(group.rows)) for names, group in self._groups.items())

    def columns(self, first: int = 0, after: int | None = None, known: Column | None = None) -> tuple[Column, ...]:
        """The columns of the rows from `first` to before `after`, in the order in which their names first came.

        Where the `known` column has a value, it stands before the other fields of its row and for the row's own of its name.
        """
        after = self.n_rows if after is None else after
        pieces: dict[str, list[_Piece]] = {}
        met: dict[str, tuple[int, int]] = {}
        is_known = np.zeros(after - first, np.bool_)
        if known is not None and len(known.value):
            rows = np.arange(after - first) if known.row is None else known.row
            is_known[rows] = True
            pieces[known.name], met[known.name] = [(rows, known.value)], (int(rows[0]), -1)
        for names, group in self._groups.items():
            all_rows = np.frombuffer(group.rows, np.int64)
            begin, end = np.searchsorted(all_rows, (first, after))
            if begin == end:
                continue
            rows = all_rows[begin:end] - first
            table = np.frombuffer(group.values).reshape(-1, len(names))[begin:end]
            for place, name in enumerate(names):
                at, value = rows, table[:, place]
                if known is not None and name == known.name:
                    at, value = rows[~is_known[rows]], value[~is_known[rows]]
                if len(at):
                    pieces.setdefault(name, []).append((at, value))
                    met[name] = min(met.get(name, (after, 0)), (int(at[0]), place))
        return tuple(_column(name, pieces[name], after - first) for name in sorted(pieces, key=met.__getitem__))


def _column(name: str, pieces: list[_Piece], n_rows: int) -> Column:
    if len(pieces) == 1:
        row, value = pieces[0][0], np.array(pieces[0][1])
    else:
        row, value = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        order = np.argsort(row, kind="stable")
        row, value = row[order], value[order]
    return Column(name=name, value=value, row=None if len(row) == n_rows else row)
