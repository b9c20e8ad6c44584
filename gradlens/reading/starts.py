"""Several complete starts in one log: each a run of its own.

A loop that appends to the log of the last training leaves several trainings in one file. One that came at least half as far as
the longest, or that has rows enough to be judged, is a run; what is shorter was aborted and stays in front of the run after it,
where the analysis sets it aside with a notice. Resumes belong to the start that they carry on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradlens.readers.base import Column, RawRun
from gradlens.run import Notice, Run, Series
from gradlens.signals.attempts import order_of
from gradlens.signals.axis import main_series, with_starts

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows with which a start is judged whatever the others have; the limit of the diagnosis.
MIN_JUDGED = 200
#: Rows of a complete start, as a share of the longest one's.
COMPLETE = 0.5


def split_into_starts(raw: RawRun, runs: Sequence[Run], assembled: Callable[[RawRun], list[Run]]) -> list[Run]:
    """The runs of each complete start, the last one first, or `runs` where the log has only one.

    Parameters
    ----------
    raw
        What the reader found.
    runs
        What `assembled` makes of it.
    assembled
        Makes runs of a part of it.
    """
    # With several optimizers the first one's series tells for all: they were trained together.
    main = main_series(runs[0]) if runs else None
    if main is None:
        return list(runs)
    order = with_starts(order_of(main.step), runs[0])
    begins = _complete([0, *(restart.index for restart in order.restarts if restart.fresh)], len(main))
    if len(begins) == 1:
        return list(runs)
    parts = _by_rows(raw, main, begins) if raw.columns else _by_time(raw, main, begins)
    found: list[Run] = []
    for number, part in reversed(list(enumerate(parts, 1))):
        name = f"{raw.name}:start-{number}" if raw.name else f"start-{number}"
        found += assembled(replace(part, name=name, notices=()))
    if not parts or not found:
        return list(runs)
    notice = Notice(
        code="several-starts",
        message="trainings from scratch one after the other: each is a run, the last one first",
        count=len(parts),
    )
    return [replace(found[0], notices=(*raw.notices, notice, *found[0].notices)), *found[1:]]


def _complete(begins: Sequence[int], end: int) -> list[int]:
    """Where each complete start begins, with the aborted ones in front of it; the last start is one in any case."""
    rows = np.diff([*begins, end])
    enough = min(MIN_JUDGED, COMPLETE * int(rows.max()))
    complete, pending = [], begins[0]
    for place, length in enumerate(rows.tolist()):
        if length >= enough or place == len(rows) - 1:
            complete.append(pending)
            pending = begins[place + 1] if place + 1 < len(begins) else end
    return complete


def _by_rows(raw: RawRun, main: Series, begins: Sequence[int]) -> list[RawRun]:
    """The parts of a table: from the row of a start's first value to the row before the next one's."""
    column = next((c for c in raw.columns if c.name == main.name), None)
    if column is None or len(column.value) != len(main):
        return []
    rows = [begin if column.row is None else int(column.row[begin]) for begin in begins]
    bounds = [0, *rows[1:], raw.n_rows]
    return [_table(raw, first, last) for first, last in itertools.pairwise(bounds)]


def _table(raw: RawRun, first: int, last: int) -> RawRun:
    unread = raw.unread_rows
    return replace(
        raw,
        columns=tuple(part for column in raw.columns if len((part := _rows_of(column, first, last)).value)),
        n_rows=last - first,
        wall_time_s=None if raw.wall_time_s is None else raw.wall_time_s[first:last],
        unread_rows=None if unread is None else tuple(rows[(rows >= first) & (rows < last)] - first for rows in unread),
    )


def _rows_of(column: Column, first: int, last: int) -> Column:
    if column.row is None:
        return replace(column, value=column.value[first:last])
    low, high = (int(at) for at in np.searchsorted(column.row, [first, last]))
    row = column.row[low:high] - first
    return replace(column, value=column.value[low:high], row=None if len(row) == last - first else row)


def _by_time(raw: RawRun, main: Series, begins: Sequence[int]) -> list[RawRun]:
    """The parts of series that have steps of their own: by the time at which each point was written; none without times."""
    times = [series.wall_time_s for series in raw.series]
    clock = main.wall_time_s
    if raw.histograms or clock is None or any(time is None for time in times):
        return []
    bounds = [-np.inf, *(float(clock[begin]) for begin in begins[1:]), np.inf]
    parts = []
    for first, last in itertools.pairwise(bounds):
        series = [_between(s, time, first, last) for s, time in zip(raw.series, times, strict=True) if time is not None]
        parts.append(replace(raw, series=tuple(s for s in series if len(s))))
    return parts if all(part.series for part in parts) else []


def _between(series: Series, time: NDArray[np.float64], first: float, last: float) -> Series:
    inside = (time >= first) & (time < last)
    return replace(series, step=series.step[inside], value=series.value[inside], wall_time_s=time[inside])
