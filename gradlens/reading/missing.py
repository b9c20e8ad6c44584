"""Records in which the loss or the norm has no value although the columns that normally come with it do.

What writes NaN as null or as an empty cell (pandas does) ends a column at the step at which training broke, and the run
would look shorter and sound. Columns that are logged by interval, rows of evaluations and summaries of epochs are not
such cases: what came with the loss before decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.frozen import frozen
from gradlens.readers.base import Column
from gradlens.run import MISSING_VALUES, Notice, Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A column comes with another if that stands in this share of the rows that follow one with both. One that is logged
#: at a fixed interval hardly ever stands in two rows in succession, whatever its share of all rows.
_MOSTLY = 0.5
#: This many last rows of nothing but counters are an end of the values; fewer may be a closing remark of the trainer.
_CLOSING = 3


@frozen(eq=False)
class Presence:
    """Which rows of a log hold values of which columns.

    Attributes
    ----------
    step
        int64[n], the step of each row.
    rows
        By name, the rows int64[m] with a value, ascending; None where every row has one.
    unread
        The same for columns that were not decoded; None where it is not known what else stands in a row.
    """

    step: NDArray[np.int64]
    rows: Mapping[str, NDArray[np.int64] | None]
    unread: Sequence[NDArray[np.int64]] | None

    def missing(self, role: str, name: str | None) -> Iterator[Notice]:
        """The notice about the column `name` of that role, if it misses values."""
        own = self.rows.get(name) if name is not None else None
        if name is None or own is None or not len(own):
            return
        at = np.flatnonzero(self._missing(name, own))
        if not len(at):
            return
        tail = at[at > own[-1]]
        first = int(self.step[tail[0] if len(tail) else at[0]])
        where = f"from step {first} to the end" if len(tail) else f"first at step {first}"
        shown = name if name == role else f"{name} ({role})"
        yield Notice(
            code=MISSING_VALUES,
            message=f"{shown} has no value in records in which what comes with it has one: NaN written as null "
            "or as an empty cell, no number, or not logged",
            count=len(at),
            where=f"{role}, {where}",
            column=role,
            first_step=first,
            to_the_end=bool(len(tail)),
        )

    def _missing(self, name: str, own: NDArray[np.int64]) -> NDArray[np.bool_]:
        n = len(self.step)
        has = np.zeros(n, np.bool_)
        has[own] = True
        measured, counted, foreign = (np.zeros(n, np.bool_) for _ in range(3))
        for other, rows in self._others(name, own):
            marked = foreign
            if _comes_with(has, rows, int(own[0]), int(own[-1])):
                marked = measured if self._tells(other) else counted
            marked[slice(None) if rows is None else rows] = True
        missing: NDArray[np.bool_] = ~has & ~foreign & (measured | counted)
        missing[: own[0]] = False
        missing &= self._stands_apart(own)
        if self.unread is None:
            missing &= measured
        elif np.count_nonzero(missing[own[-1] :]) < _CLOSING:
            missing[own[-1] :] &= measured[own[-1] :]
        return missing

    def _tells(self, name: str | None) -> bool:
        """Whether a value in that column (None: one not decoded) makes a row one of training."""
        if name is None or self.unread is not None:
            # W&B's own counters and clocks begin with a stroke.
            return name is None or not (name.startswith("_") or _has_role(name, "step", "epoch"))
        # What was not decoded may be an evaluation, which some trainers log with their learning rate.
        return _has_role(name, "loss", "grad_norm")

    def _others(self, name: str, own: NDArray[np.int64]) -> Iterator[tuple[str | None, NDArray[np.int64] | None]]:
        """The other columns, without those that stand in the same rows: these say nothing about further ones."""
        columns = [(other, rows) for other, rows in self.rows.items() if other != name]
        for other, rows in (*columns, *((None, rows) for rows in self.unread or ())):
            if rows is None or not (rows is own or np.array_equal(rows, own)):
                yield other, rows

    def _stands_apart(self, own: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The rows a usual distance in steps away from the rows before and after that hold a value of the column.

        The others are second records of a step, or stand between two records of a column that is logged by interval.
        """
        n, step = len(self.step), self.step[own]
        change = np.diff(step, prepend=step[0])
        usual = float(np.median(change[change > 0])) if (change > 0).any() else 1.0
        before = np.searchsorted(own, np.arange(n), side="right") - 1
        after = np.minimum(before + 1, len(own) - 1)
        distance = np.where(change > 0, np.minimum(change, usual), usual)[before]
        apart: NDArray[np.bool_] = np.abs(self.step - step[before]) >= distance
        apart &= (np.abs(step[after] - self.step) >= distance) | (before == len(own) - 1)
        return apart


def presence_in_columns(
    columns: Sequence[Column], step: NDArray[np.int64], unread: Sequence[NDArray[np.int64]] | None
) -> Presence:
    """The presence in a table, each row of which has a step."""
    return Presence(step=step, rows={c.name: c.row for c in columns}, unread=unread)


def presence_in_series(series: Sequence[Series], unread: Sequence[NDArray[np.int64]] | None) -> Presence:
    """The presence in series with separate steps: a row is a step at which any of them has a value."""
    kinds: list[NDArray[np.int64]] = []
    kind_of: dict[str, int] = {}
    for one in series:
        found = (k for k, steps in enumerate(kinds) if one.step is steps or np.array_equal(one.step, steps))
        kind_of[one.name] = next(found, len(kinds))
        if kind_of[one.name] == len(kinds):
            kinds.append(one.step)
    if len(kinds) < 2:
        step = kinds[0] if kinds else np.empty(0, np.int64)
        return Presence(step=step, rows=dict.fromkeys(kind_of), unread=unread)
    # The last step may be cut off between two series: the log is still being written, or the writer was killed.
    step = np.unique(np.concatenate(kinds))[:-1]
    rows = [np.flatnonzero(np.isin(step, steps)) for steps in kinds]
    return Presence(step=step, rows={name: rows[kind] for name, kind in kind_of.items()}, unread=unread)


def _comes_with(has: NDArray[np.bool_], rows: NDArray[np.int64] | None, first: int, last: int) -> bool:
    """Whether a column normally stands in rows with that column which `has` is about, from its first to its last row."""
    shared = has[first : last + 1] if rows is None else has[rows[(rows >= first) & (rows <= last)]]
    n_before = int(np.count_nonzero(shared[:-1]))
    if n_before == 0:
        return bool(shared.any()) and float(np.mean(shared)) >= _MOSTLY
    return int(np.count_nonzero(shared[:-1] & shared[1:])) >= _MOSTLY * n_before


def _has_role(name: str, *roles: str) -> bool:
    return any(vocabulary.rank_of(role, name) is not None for role in roles)
