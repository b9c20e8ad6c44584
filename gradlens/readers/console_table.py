"""The records of a console log, and their columns: records of the same names are put together at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradlens.readers.base import Column

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(slots=True)
class Record:
    """What one record of a log holds.

    `names` is shared by the records of the same names: a dict of each record's own would take four times the memory.
    `epoch` is the epoch and batch of a counter that restarts with each epoch, where its length is not printed.
    """

    start: int
    names: tuple[str, ...]
    values: array[float]
    step: float | None
    epoch: tuple[int, int] | None = None


def columns_of(records: Sequence[Record], steps: Sequence[float | None]) -> tuple[Column, ...]:
    """The columns in the order in which their names first came; a step, where there is one, is the first field."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for row, record in enumerate(records):
        groups.setdefault(record.names, []).append(row)
    pieces: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = {}
    first: dict[str, tuple[int, int]] = {}
    placed = np.array([row for row, step in enumerate(steps) if step is not None], np.int64)
    if len(placed):
        first["step"] = (int(placed[0]), -1)
        pieces["step"] = [(placed, np.array([step for step in steps if step is not None], np.float64))]
    is_placed = np.zeros(len(records), np.bool_)
    is_placed[placed] = True
    for names, group in groups.items():
        rows = np.array(group, np.int64)
        table = np.frombuffer(b"".join([records[row].values for row in group])).reshape(len(rows), len(names))
        for place, name in enumerate(names):
            at, value = rows, table[:, place]
            if name == "step":
                # The step that was found stands for the record's own field of this name.
                at, value = rows[~is_placed[rows]], value[~is_placed[rows]]
            if len(at):
                pieces.setdefault(name, []).append((at, value))
                first[name] = min(first.get(name, (len(records), 0)), (int(at[0]), place))
    return tuple(_column(name, pieces[name], len(records)) for name in sorted(pieces, key=first.__getitem__))


def _column(name: str, pieces: list[tuple[NDArray[np.int64], NDArray[np.float64]]], n_rows: int) -> Column:
    row = np.concatenate([rows for rows, _ in pieces])
    value = np.concatenate([values for _, values in pieces])
    if len(pieces) > 1:
        order = np.argsort(row, kind="stable")
        row, value = row[order], value[order]
    return Column(name=name, value=value, row=None if len(row) == n_rows else row)
