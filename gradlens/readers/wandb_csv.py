"""W&B's CSV downloads other than plain histories: chart exports, and the table of runs, which is not a log."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

import numpy as np

from gradlens.errors import MalformedLogError, NoTrainingSeriesError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, csv_rows, parse_number
from gradlens.run import Series
from gradlens.sources.files import Source

_CHART = re.compile(r"^(?P<run>.+?) - (?P<metric>.+?)(?P<bound>__MIN|__MAX)?$")
_STEPS = frozenset({"step", "_step", "global_step", "trainer/global_step", "train/global_step",
                    "relative time (process)", "relative time (wall)", "wall time", "epoch",
                    "iteration", "train/step"})  # fmt: skip
_RUNS_TABLE = frozenset({"Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep"})


class WandbCsvReader(Reader):
    """Exports of a W&B chart: `"Step","<run> - <metric>","<run> - <metric>__MIN",...`.

    Each run of the chart is a run; a table of runs is refused, it has no steps.
    """

    name = "wandb-csv"

    def sniff(self, source: Source) -> float:
        header = _header(source.head_text)
        if len(header) < 2:
            return 0.0
        if len(_RUNS_TABLE.intersection(header)) >= 5:
            return 0.95
        step = _step_place(header)
        charts = [_CHART.match(name) for place, name in enumerate(header) if place != step]
        return 0.9 if all(charts) and (_is_step(header[step]) or any(m["bound"] for m in charts if m)) else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        del options
        (source,) = sources
        text = source.read_bytes().decode("utf-8-sig", errors="replace").replace("\0", "")
        header = _header(text)
        if len(_RUNS_TABLE.intersection(header)) >= 5:
            raise NoTrainingSeriesError(
                f"{source.name}: a W&B table of runs: one row per run with its final values, and no steps",
                hint="export the chart or the history of one run instead",
            )
        book = NoticeBook()
        rows = [row for row in csv_rows(text, book) if row][1:]
        if not rows or not header:
            missing = "rows" if header else "header line"
            raise MalformedLogError(f"{source.name}: a W&B chart export with no {missing}")
        return _runs(header, rows, book)


def _is_step(name: str) -> bool:
    return name.strip().lower() in _STEPS


def _step_place(header: Sequence[str]) -> int:
    """Where the column of steps stands: the first one of a step's name, else the first one."""
    return next((place for place, name in enumerate(header) if _is_step(name)), 0)


def _header(text: str) -> list[str]:
    first = text.lstrip("\ufeff\n\r").split("\n", 1)[0].strip()
    try:
        return [cell.strip() for cell in next(csv.reader([first]), [])]
    except csv.Error:
        return []


def _runs(header: Sequence[str], rows: Sequence[Sequence[str]], book: NoticeBook) -> list[RawRun]:
    at = _step_place(header)
    steps = [parse_number(row[at]) if at < len(row) and row[at].strip() else None for row in rows]
    bad = sum(s is None or not abs(s) < 2.0**62 for s in steps)
    book.add("row-without-step", f"rows without a {header[at]}, left out", count=bad)
    book.add("envelope-columns", "the __MIN and __MAX columns of the chart were left out: smoothing may have made them",
             count=sum(name.endswith(("__MIN", "__MAX")) for name in header))  # fmt: skip
    found: dict[str, list[Series]] = {}
    for place, name in enumerate(header):
        match = _CHART.match(name)
        if place == at or match is None or match["bound"]:
            continue
        points = [
            (step, value)
            for step, row in zip(steps, rows, strict=True)
            if step is not None
            and abs(step) < 2.0**62
            and place < len(row)
            and (value := parse_number(row[place])) is not None
        ]
        if points:
            step_array, value_array = np.array(points, dtype=np.float64).T
            series = Series(name=match["metric"], step=step_array.astype(np.int64), value=value_array.copy())
            found.setdefault(match["run"], []).append(series)
    several = len(found) > 1
    return [
        RawRun(name=run if several else "", series=tuple(series), notices=book.notices(), step_column=header[at])
        for run, series in found.items()
    ]
