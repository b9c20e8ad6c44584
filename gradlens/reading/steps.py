"""Which column of a table is the step, and what to do with rows and counters that do not fit.

Logs often have several counters: W&B's own `_step` beside the trainer's, MMEngine's `iter` beside a `step` in which
validation rows put the epoch. The counter that is there on the rows with a loss or a norm counts; among counters that
agree on those rows, the one that goes back least counts. A counter that repeats while the loss changes is an epoch or a label.
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
#: A counter that repeats in more than this share of the rows counts something longer than a step.
MOSTLY = 0.5
#: Share of the distances that rise in a column that counts steps under a name that is not known.
COUNTS = 0.9
#: Epochs that repeat in more than this share of the rows are no steps: an epoch has several rows.
FEW = 0.2
#: Rounded steps repeat at least in this share of the rows.
MANY = 0.3
#: Falls of equal size after equally many rows from which a count overlaps regularly.
MIN_ROUNDS = 6
_ROUNDED_FROM, _MIN_ROUNDED = 1000, 8
#: From here on float64, as which columns are read, tells no neighbouring integers apart.
_LIMIT = 2.0**53


def choose_step(columns: Mapping[str, Column], n_rows: int, book: NoticeBook) -> str | None:
    """The name of the step column, or None where no column counts (then a notice may say why).

    By behaviour before name: a counter must stand on the rows with a loss or a norm, be whole and change; one that repeats
    from row to row while the loss changes counts something longer than a step, and epochs come last. Where nothing but an
    epoch that repeats is left, the order of the file counts.

    Parameters
    ----------
    columns
        All columns of the table by name.
    n_rows
        Rows of the table.
    book
        Takes the notice about a counter that was passed over.
    """
    wanted = training_rows(columns, n_rows)
    candidates = sorted(
        (vocabulary.rank_of("epoch", name) is not None, rank, place, name)
        for place, name in enumerate(columns)
        if (rank := vocabulary.step_rank(name)) is not None
    )
    dense = {name: spread(columns[name], n_rows)[wanted] for *_, name in candidates}
    covered = {name: float(np.mean(np.isfinite(values))) if len(values) else 0.0 for name, values in dense.items()}
    names = [name for *_, name in candidates if covered[name] >= COVERAGE]
    if not names:
        return max(covered, key=lambda n: covered[n], default=None)
    counting = [name for name in names if _counts(dense[name]) and (_is_known(name) or _rises(dense[name]))]
    changes = _changes(columns, n_rows, wanted)
    epoch = vocabulary.choose("epoch", columns)
    epochs = None if epoch is None else spread(columns[epoch], n_rows)[wanted]
    turning = [name for name in counting if name != epoch and _goes_round(dense[name], epochs)]
    counting = [name for name in counting if name not in turning]
    if not counting:
        still = [name for name in names if name in turning or _repeats(dense[name], changes) == 1.0]
        if names[0] in still and len(changes) >= MIN_ROUNDS and np.mean(changes) > MOSTLY:
            what = "goes round the same few numbers" if turning else "is the same in all records"
            book.add("step-not-counting", f"{names[0]!r} {what}: records are numbered from 0 in the order written",
                     count=len(dense[names[0]]))  # fmt: skip
            return None
        return names[0] if _is_known(names[0]) else None
    repeats = {name: _repeats(dense[name], changes) for name in counting}
    moving = [name for name in counting if repeats[name] <= MOSTLY]
    best = moving[0] if moving else counting[0]
    if vocabulary.rank_of("epoch", best) is not None and repeats[best] > FEW:
        book.add(
            "epoch-not-step",
            f"{best!r} repeats in most records: it counts epochs, and records are numbered from 0 in the order written",
            count=int(np.count_nonzero(wanted)),
        )
        return None
    if best != names[0]:
        why = "repeats in most records" if names[0] in repeats else "does not count"
        why = "goes round the same few numbers" if names[0] in turning else why
        book.add("step-chosen", f"{best!r} was taken as the step: {names[0]!r} {why}", count=len(dense[best]))
    twins = [name for name in counting if np.array_equal(dense[name], dense[best], equal_nan=True)]
    return min(twins, key=lambda n: _falls(columns[n].value))


def in_order_written(columns: Mapping[str, Column], n_rows: int) -> NDArray[np.int64]:
    """The number of each row by the rows with a loss or a norm up to it, from 0."""
    steps: NDArray[np.int64] = np.maximum(np.cumsum(training_rows(columns, n_rows)) - 1, 0)
    return steps


def unrounded(steps: NDArray[np.int64], wanted: NDArray[np.bool_], name: str, book: NoticeBook) -> NDArray[np.int64]:
    """Steps that were printed rounded (`1.37e+04`, `12K`), as the order of the file and the first distances give them.

    Beyond 1,000 each is rounded to three digits and many repeat: such a step is a label. The distance between the first,
    unrounded ones is taken to hold; where the labels contradict that, rows are numbered from 0.

    Parameters
    ----------
    steps
        int64[n].
    wanted
        bool[n], the rows that stand for one step each.
    name
        Of the column, for the notice.
    book
        Takes the notice.
    """
    value = steps[wanted]
    large = value[value >= _ROUNDED_FROM]
    if len(large) < _MIN_ROUNDED or np.any(np.diff(value) < 0):
        return steps
    unit = 10 ** (np.floor(np.log10(large)).astype(np.int64) - 2)
    if np.any(large % unit) or np.mean(np.diff(large) == 0) < MANY:
        return steps
    small = value[value < _ROUNDED_FROM]
    interval = _interval(small) if len(small) > 1 else max(1, round((value[-1] - value[0]) / max(len(value) - 1, 1)))
    guess = value[0] + interval * np.arange(len(value))
    coarse = _ROUNDED_FROM if not np.any(large % _ROUNDED_FROM) else 0
    fits = bool(np.all(np.abs(guess - value) <= np.maximum(coarse, 0.006 * value)))
    at = np.maximum(np.cumsum(wanted) - 1, 0)
    book.add(
        "rounded-steps",
        f"{name!r} is printed rounded, several records share a step: "
        + (
            f"the order written counts, {interval} steps apart as the first ones"
            if fits
            else "records are numbered from 0"
        ),
        count=int(np.count_nonzero(np.diff(large) == 0)),
    )
    whole: NDArray[np.int64] = (guess if fits else np.arange(len(value)))[at]
    return whole


def steps_of_rows(column: Column, n_rows: int, book: NoticeBook) -> NDArray[np.int64]:
    """The step of every row; a row without one takes the step of the row before (notice).

    Fractional steps (`epoch` 0.25, 0.5, ...) are not a counter: rows are then numbered in the order written (notice).
    """
    value, rows = column.value, column.row
    good = np.isfinite(value) & (np.abs(value) < _LIMIT)
    rows = np.arange(n_rows, dtype=np.int64) if rows is None else rows
    beyond = int(np.count_nonzero(~np.isnan(value) & ~good))
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
        "step-too-large",
        f"records in which {column.name!r} is too large for a step (2**53 and more are rounded) took the step of the record before",
        count=beyond,
    )
    book.add(
        "row-without-step",
        f"records without {column.name!r} took the step of the record before",
        count=n_rows - len(rows) - beyond,
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
    epochs = spread(epoch, n_rows)
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


def untangled(steps: NDArray[np.int64], book: NoticeBook) -> NDArray[np.int64]:
    """A count that overlaps regularly, spread over the rows in the order written.

    Some loops (Stable-Baselines 2) number the passes over one batch ahead of the next batch's: 0, 1, 2, 3, 1, 2, 3, 4, 2, ...
    The count falls by the same number after the same number of rows throughout, which no series of resumes does, and gains
    in each round. Two writers in turn look alike but for their first round, which is half as long.
    """
    change = np.diff(steps)
    falls = np.flatnonzero(change < 0) + 1
    if len(falls) < MIN_ROUNDS:
        return steps
    period, gain = int(falls[0]), int(steps[falls[0]] - steps[0])
    fall_sizes = change[falls - 1]
    regular = bool((np.diff(falls) == period).all() and (fall_sizes == fall_sizes[0]).all())
    if not regular or gain <= 0 or len(steps) - int(falls[-1]) > period or bool((change == 0).any()):
        return steps
    book.add(
        "overlapping-count",
        f"the count overlaps regularly (it falls by {-int(fall_sizes[0]):,} after every {period} rows), as loops do that number "
        "several passes over one batch: the rows stand in the order written",
        count=len(falls),
    )
    rows = np.arange(len(steps), dtype=np.int64)
    return int(steps[0]) + (rows * gain // period if gain >= period else rows)


def _interval(steps: NDArray[np.int64]) -> int:
    """The usual distance between steps."""
    change = np.diff(steps)
    change = change[change > 0]
    return int(np.median(change)) if len(change) else 1


def training_rows(columns: Mapping[str, Column], n_rows: int) -> NDArray[np.bool_]:
    """The rows with a loss or a norm of the training, bool[n_rows]; all where there are none."""
    rows = np.zeros(n_rows, dtype=bool)
    for name, column in columns.items():
        if vocabulary.is_core(name):
            if column.row is None:
                rows[:] = True
            else:
                rows[column.row] = True
    if not rows.any():
        rows[:] = True
    return rows


def _changes(columns: Mapping[str, Column], n_rows: int, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the wanted rows, from the second on, differ from the row before in a loss or a norm: bool[m - 1].

    In a log of evaluations alone their loss counts.
    """
    changes = np.zeros(max(int(np.count_nonzero(wanted)) - 1, 0), np.bool_)
    core = [name for name in columns if vocabulary.is_core(name)]
    for name in core or [name for name in columns if vocabulary.rank_of("val_loss", name) is not None]:
        values = spread(columns[name], n_rows)[wanted]
        changes |= (values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
    return changes


def _repeats(values: NDArray[np.float64], changes: NDArray[np.bool_]) -> float:
    """The share of the rows with another loss or norm than the row before that repeat its value."""
    if not changes.any():
        return float(np.mean(values[1:] == values[:-1])) if len(values) > 1 else 0.0
    return float(np.mean((values[1:] == values[:-1])[changes]))


def rows_of_longest(columns: Mapping[str, Column], n_rows: int) -> NDArray[np.bool_]:
    """The rows of the loss or norm with most values, bool[n_rows]: others may stand in rows of their own."""
    core = [column for name, column in columns.items() if vocabulary.is_core(name)]
    rows = np.ones(n_rows, np.bool_)
    if core:
        longest = max(core, key=lambda column: len(column.value))
        if longest.row is not None:
            rows[:] = False
            rows[longest.row] = True
    return rows


def spread(column: Column, n_rows: int) -> NDArray[np.float64]:
    """A column with NaN in the rows without a value: float64[n_rows]."""
    if column.row is None:
        return column.value
    values = np.full(n_rows, np.nan)
    values[column.row] = column.value
    return values


def _counts(values: NDArray[np.float64]) -> bool:
    """Whether the values can be a counter: whole numbers that change."""
    finite = values[np.isfinite(values)]
    return bool(np.array_equal(finite, np.floor(finite)) and (len(finite) < 3 or finite.min() < finite.max()))


def _goes_round(values: NDArray[np.float64], epochs: NDArray[np.float64] | None) -> bool:
    """Whether the values repeat the same few numbers in turn, as lengths of epochs do: 6275, 784, 6275, 784, ...

    A counter that restarts with each epoch falls only where the epoch rises.
    """
    falls = np.flatnonzero(np.diff(values) < 0) + 1
    if len(falls) < MIN_ROUNDS or len(falls) < FEW * len(values) or len(np.unique(values)) > len(falls) // 2:
        return False
    return epochs is None or not bool(np.all(np.diff(epochs)[falls - 1] > 0))


def _is_known(name: str) -> bool:
    """Whether a name is a known spelling of the step; others are one only if they rise."""
    return vocabulary.rank_of("step", name) is not None


def _rises(values: NDArray[np.float64]) -> bool:
    return len(values) > 1 and float(np.mean(np.diff(values[np.isfinite(values)]) > 0)) > COUNTS


def _falls(values: NDArray[np.float64]) -> int:
    finite = values[np.isfinite(values)]
    return int(np.count_nonzero(np.diff(finite) < 0))
