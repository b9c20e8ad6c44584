"""Which column of a table is the step, and what to do with rows and counters that do not fit.

Logs often have several counters: W&B's own `_step` beside the trainer's, MMEngine's `iter` beside a `step` in which
validation rows put the epoch. The counter that is there on the rows with a loss or a norm counts; among counters that
agree on those rows, the one that goes back least counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gradlens import vocabulary
from gradlens.readers.base import Column, NoticeBook

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Share of the rows with a loss or a norm on which a counter must stand to be the step.
COVERAGE = 0.98
#: From here on float64, as which columns are read, tells no neighbouring integers apart.
_LIMIT = 2.0**53


def choose_step(columns: Mapping[str, Column], n_rows: int) -> str | None:
    """The name of the step column, or None where no column counts.

    Parameters
    ----------
    columns
        All columns of the table by name.
    n_rows
        Rows of the table.
    """
    wanted = _training_rows(columns, n_rows)
    candidates = sorted(
        (rank, place, name)
        for place, name in enumerate(columns)
        if (rank := vocabulary.rank_of("step", name)) is not None
    )
    dense = {name: _spread(columns[name], n_rows)[wanted] for _, _, name in candidates}
    covered = {name: float(np.mean(np.isfinite(values))) if len(values) else 0.0 for name, values in dense.items()}
    names = [name for _, _, name in candidates if covered[name] >= COVERAGE]
    if not names:
        return max(covered, key=lambda n: covered[n], default=None)
    counting = [name for name in names if _counts(dense[name])] or names
    best = counting[0]
    twins = [name for name in counting if np.array_equal(dense[name], dense[best], equal_nan=True)]
    return min(twins, key=lambda n: _falls(columns[n].value))


def steps_of_rows(column: Column, n_rows: int, book: NoticeBook) -> NDArray[np.int64]:
    """The step of every row; a row without one takes the step of the row before (notice).

    Fractional steps (`epoch` 0.25, 0.5, ...) are not a counter: rows are then numbered in the order written (notice).
    """
    value, rows = column.value, column.row
    good = np.isfinite(value) & (np.abs(value) < _LIMIT)
    rows = np.arange(n_rows, dtype=np.int64) if rows is None else rows
    beyond = int(np.count_nonzero(np.isfinite(value) & ~good))
    value, rows = value[good], rows[good]
    if len(rows) <= beyond:
        problem = (
            "numbers too large for a step (2**53 and more are rounded)" if beyond else "values that are not numbers"
        )
        book.add("no-step", f"{column.name!r} holds {problem}: records are numbered from 0", count=n_rows)
        return np.arange(n_rows, dtype=np.int64)
    steps = value.astype(np.int64)
    if not np.array_equal(steps, value):
        book.add(
            "fractional-step",
            f"{column.name!r} holds fractions: records are numbered from 0 in the order written",
            count=int(np.count_nonzero(steps != value)),
        )
        return np.arange(n_rows, dtype=np.int64)
    if len(rows) == n_rows:
        return steps
    book.add(
        "row-without-step",
        f"records without {column.name!r} took the step of the record before",
        count=n_rows - len(rows),
    )
    at = np.searchsorted(rows, np.arange(n_rows), side="right") - 1
    filled: NDArray[np.int64] = steps[np.maximum(at, 0)]
    return filled


def unrolled(steps: NDArray[np.int64], epoch: Column | None, n_rows: int, book: NoticeBook) -> NDArray[np.int64]:
    """A counter that restarts with each epoch, made continuous.

    Done only where every fall of the counter comes with a rise of the epoch; the last count of an epoch stands for its
    length, since logs seldom print the length itself. A counter that starts at 0 has one more step (or logging interval)
    to go.
    """
    falls = np.flatnonzero(np.diff(steps) < 0) + 1
    if epoch is None or not len(falls):
        return steps
    epochs = _spread(epoch, n_rows)
    known = np.isfinite(epochs)
    if not known.all():
        at = np.maximum.accumulate(np.where(known, np.arange(n_rows), 0))
        epochs = epochs[at]
    rises = np.flatnonzero(np.diff(epochs) > 0) + 1
    if not np.isin(falls, rises).all() or len(falls) < 0.5 * len(rises) or np.any(np.diff(epochs) < 0):
        return steps
    offset = np.zeros(n_rows, dtype=np.int64)
    begin = 0
    for fall in falls:
        counted = steps[begin:fall]
        offset[fall:] += int(counted.max()) + (_interval(counted) if steps[fall] == 0 else 0)
        begin = int(fall)
    book.add(
        "epoch-counter",
        "the counter restarts with each epoch and was made continuous; the last count of an epoch stands for its length",
        count=len(falls),
    )
    return steps + offset


def _interval(steps: NDArray[np.int64]) -> int:
    """The usual distance between steps."""
    change = np.diff(steps)
    change = change[change > 0]
    return int(np.median(change)) if len(change) else 1


def _training_rows(columns: Mapping[str, Column], n_rows: int) -> NDArray[np.bool_]:
    rows = np.zeros(n_rows, dtype=bool)
    for name, column in columns.items():
        if any(vocabulary.rank_of(role, name) is not None for role in ("loss", "grad_norm")):
            if column.row is None:
                rows[:] = True
            else:
                rows[column.row] = True
    if not rows.any():
        rows[:] = True
    return rows


def _spread(column: Column, n_rows: int) -> NDArray[np.float64]:
    if column.row is None:
        return column.value
    values = np.full(n_rows, np.nan)
    values[column.row] = column.value
    return values


def _counts(values: NDArray[np.float64]) -> bool:
    """Whether the values can be a counter: whole numbers that change."""
    finite = values[np.isfinite(values)]
    return bool(np.array_equal(finite, np.floor(finite)) and (len(finite) < 3 or finite.min() < finite.max()))


def _falls(values: NDArray[np.float64]) -> int:
    finite = values[np.isfinite(values)]
    return int(np.count_nonzero(np.diff(finite) < 0))
