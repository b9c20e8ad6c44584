"""Reading what was appended to a log, and giving the runs that the whole log would give.

Only for formats in which each line is read for itself, and only for rows: whatever else a piece holds (settings, damage,
histograms) may mean something for the rows before it, so that the caller reads the whole log again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from gradlens.errors import MalformedLogError
from gradlens.readers import detect
from gradlens.readers.base import Column, RawRun, Reader, ReadOptions
from gradlens.reading.read import runs_of
from gradlens.run import Columns, HistogramSeries, Run, Series
from gradlens.signals.axis import main_series
from gradlens.sources.files import HEAD_BYTES, Source, Target

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: The marks in front of text in two bytes a character, whose lines do not end where a byte is a line feed.
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class NeedsWholeLogError(Exception):
    """The piece cannot be read without what came before it."""


class GrowingLog:
    """The rows of one file as far as they were given, and the runs in them."""

    def __init__(self, path: str, data: bytes, options: ReadOptions, input_format: str | None = None) -> None:
        """Begin with the whole lines of a file.

        Raises
        ------
        NeedsWholeLogError
            The format is none in which each line is read for itself.
        GradlensError
            Nothing can be read.
        """
        # Which columns are worth reading may change as rows come: all are kept.
        self._options = replace(options, columns="all")
        self._source = Source(name=path, path=Path(path))
        self._input_format = input_format
        self._begin(data)

    def _begin(self, data: bytes) -> None:
        first = Source(name=self._source.name, data=data)
        self._reader: Reader = detect.load(self._input_format) if self._input_format else detect.require(first)[0][1]
        is_text = first.compression is None and not data.startswith(_UTF16)
        if not (is_text and self._reader.reads_line_by_line):
            raise NeedsWholeLogError
        self._raws = self._reader.read([first], self._options)
        # What kind of log it is shows at its beginning: while that grows, all of it is read.
        self._head = data if len(data) < HEAD_BYTES else None

    def append(self, data: bytes) -> None:
        """Take over whole lines that stand after those given so far.

        Raises
        ------
        NeedsWholeLogError
            There is more than rows in them.
        """
        if not data.strip():
            return
        if self._head is not None:
            self._begin(self._head + data)
            return
        try:
            pieces = self._reader.read([Source(name=self._source.name, data=data)], self._options)
        except MalformedLogError as error:
            raise NeedsWholeLogError from error
        if len(pieces) != 1 or len(self._raws) != 1:
            raise NeedsWholeLogError
        self._raws = [joined(self._raws[0], pieces[0])]

    def runs(self) -> list[Run]:
        """The runs in the rows so far, as `read` would give them."""
        target = Target(text=self._source.name, sources=(self._source,))
        found = runs_of(self._raws, self._reader, [self._source], self._options, target)
        return [run for run in found if run.loss is not None or run.grad_norm is not None]


def joined(first: RawRun, then: RawRun) -> RawRun:
    """Two tables of rows, the second below the first; what the first says of settings and damage holds for both.

    Raises
    ------
    NeedsWholeLogError
        The second is more than a table of rows.
    """
    if then.notices or then.config or then.histograms or then.series or first.series or first.wall_time_s is not None:
        raise NeedsWholeLogError
    n_rows = first.n_rows + then.n_rows
    added = {column.name: column for column in then.columns}
    columns = [_below(column, added.pop(column.name, None), first.n_rows, n_rows) for column in first.columns]
    columns += [
        Column(name=column.name, value=column.value, row=_rows(column, then.n_rows) + first.n_rows)
        for column in added.values()
    ]
    return replace(first, columns=tuple(columns), n_rows=n_rows)


def _below(column: Column, added: Column | None, n_before: int, n_rows: int) -> Column:
    if added is None:
        return replace(column, row=_rows(column, n_before))
    value = np.concatenate((column.value, added.value))
    if column.row is None and added.row is None:
        return Column(name=column.name, value=value)
    row = np.concatenate((_rows(column, n_before), _rows(added, n_rows - n_before) + n_before))
    return Column(name=column.name, value=value, row=row)


def _rows(column: Column, n_rows: int) -> NDArray[np.int64]:
    return np.arange(n_rows) if column.row is None else column.row


def continued(before: Run, now: Run) -> Run:
    """One run of the rows of a log that was rotated away and of the one that goes on in its place."""
    return replace(
        now,
        series=MappingProxyType(_chained(before.series, now.series)),
        layers=MappingProxyType(_chained(before.layers, now.layers)),
        columns=replace(before.columns, **{k: v for k, v in _named(now.columns).items() if v is not None}),
        config=before.config.merged(now.config),
        notices=tuple(dict.fromkeys((*before.notices, *now.notices))),
        histograms=MappingProxyType(_all_histograms(before.histograms, now.histograms)),
    )


def goes_on(before: Run, now: Run) -> bool:
    """Whether the steps of one run begin where those of the other end."""
    first, then = main_series(before), main_series(now)
    return (
        first is not None and then is not None and len(then) > 0 and int(then.step[0]) > int(first.step.max(initial=-1))
    )


def _named(columns: Columns) -> dict[str, str | None]:
    return {f.name: getattr(columns, f.name) for f in fields(columns)}


def _chained(before: Mapping[str, Series], now: Mapping[str, Series]) -> dict[str, Series]:
    chained = {}
    for name in dict.fromkeys((*before, *now)):
        pair = [table[name] for table in (before, now) if name in table]
        walls = [series.wall_time_s for series in pair]
        chained[name] = Series(
            name=name,
            step=np.concatenate([series.step for series in pair]),
            value=np.concatenate([series.value for series in pair]),
            wall_time_s=np.concatenate([w for w in walls if w is not None])
            if all(w is not None for w in walls)
            else None,
        )
    return chained


def _all_histograms(
    before: Mapping[str, HistogramSeries], now: Mapping[str, HistogramSeries]
) -> dict[str, HistogramSeries]:
    found = {**before, **now}
    for name in before.keys() & now.keys():
        first, then = before[name], now[name]
        found[name] = HistogramSeries(
            name=name,
            step=np.concatenate((first.step, then.step)),
            limits=first.limits + then.limits,
            counts=first.counts + then.counts,
        )
    return found
