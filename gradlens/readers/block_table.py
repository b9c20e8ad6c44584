"""Tables read block by block, and their columns joined."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradlens.readers.base import Column, ReadOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    #: Cells by column that are neither empty nor a number.
    texts: Counter[str] = field(default_factory=Counter)


class TableJoiner:
    """Joins the tables of blocks into the columns of a log."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._values: dict[str, list[NDArray[np.float64]]] = {}
        self._rows: dict[str, list[NDArray[np.int64]]] = {}
        self._counts: dict[str, int] = {}
        self._is_wanted: dict[str, bool] = {}
        self.n_rows = 0

    def add(self, table: Table) -> None:
        """Append the rows of one block."""
        for name, (value, row) in table.columns.items():
            if name not in self._is_wanted:
                self._is_wanted[name] = self._options.wanted(name)
            if not self._is_wanted[name]:
                continue
            if name not in self._values:
                self._values[name], self._rows[name], self._counts[name] = [], [], 0
            self._values[name].append(np.ascontiguousarray(value))
            # Rows are kept as ranges where a block has them all, and only joined if some block has not.
            self._rows[name].append(_range(self.n_rows, table.n_rows) if row is None else row + self.n_rows)
            self._counts[name] += len(value)
        self.n_rows += table.n_rows

    def columns(self) -> tuple[Column, ...]:
        """The columns; may be called once."""
        found = []
        for name in list(self._values):
            rows = self._rows.pop(name)
            is_whole = self._counts[name] == self.n_rows
            found.append(
                Column(
                    name=name,
                    value=np.concatenate(self._values.pop(name)),
                    row=None if is_whole else np.concatenate(rows),
                )
            )
        return tuple(found)


def _range(first: int, count: int) -> NDArray[np.int64]:
    return np.arange(first, first + count, dtype=np.int64)
