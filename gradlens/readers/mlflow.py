"""MLflow: the file store (`mlruns/<experiment>/<run>/metrics/<name>`) and the SQLite store (`mlflow.db`)."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradlens.errors import MalformedLogError, NoTrainingSeriesError
from gradlens.readers.base import NoticeBook, RawRun, Reader, ReadOptions, as_float
from gradlens.readers.sqlite_file import MAGIC, check_size, connect
from gradlens.run import Series
from gradlens.sources.files import Source

#: One line of a metric file: time in milliseconds, value, step (absent in logs of MLflow before 1.0).
_LINE = re.compile(r"^\d{12,14} \S{1,40}(?: -?\d{1,18})?$")
#: What MLflow's SQL stores keep for an infinity, which SQL has no number for.
_MAX_FLOAT = 1.7976931348623157e308
_MAX_STEP = 2.0**62


class MlflowFilesReader(Reader):
    """MLflow's file store: a file per metric."""

    name = "mlflow"
    settings_in = "its parameters"

    def sniff(self, source: Source) -> float:
        lines = source.head_text.splitlines()[:5]
        if not lines or not all(_LINE.match(line) for line in lines[:-1] or lines):
            return 0.0
        return 0.9 if "/metrics/" in source.name else 0.5

    def group(self, sources: Sequence[Source]) -> Iterable[Sequence[Source]]:
        """The files below one `metrics` folder are one run."""
        runs: dict[str, list[Source]] = {}
        for source in sources:
            runs.setdefault(source.name.rpartition("/metrics/")[0] or source.name, []).append(source)
        return runs.values()

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        book = NoticeBook()
        series = []
        for source in sources:
            _, found, metric = source.name.rpartition("/metrics/")
            name = metric if found else source.file_name
            if options.wanted(name):
                points = [
                    p for n, line in enumerate(_lines(source), 1) if (p := _point(line, book, f"{name} line {n}"))
                ]
                if points:
                    series.append(metric_series(name, points))
        if not series:
            raise MalformedLogError(f"{sources[0].name}: no metrics with values")
        run, found, _ = sources[0].name.rpartition("/metrics/")
        return [RawRun(series=tuple(series), config=_parameters(Path(run) if found else None), notices=book.notices())]


class MlflowDatabaseReader(Reader):
    """MLflow's SQLite store, a run for each of its runs."""

    name = "mlflow-sqlite"
    settings_in = "its parameters"

    def sniff(self, source: Source) -> float:
        return 1.0 if source.head.startswith(MAGIC) else 0.0

    def read(self, sources: Sequence[Source], options: ReadOptions) -> list[RawRun]:
        (source,) = sources
        check_size(source)
        try:
            with contextlib.closing(connect(source)) as database:
                return list(_database_runs(database, source, options))
        except (sqlite3.Error, OverflowError, UnicodeError, TypeError, ValueError) as error:
            raise MalformedLogError(
                f"{source.name}: {error}", hint="a SQLite file, but not a complete MLflow database"
            ) from error


def _lines(source: Source) -> list[str]:
    return source.read_bytes().decode("utf-8", errors="replace").split("\n")


def _point(line: str, book: NoticeBook, where: str) -> tuple[float, float, int] | None:
    parts = line.split()
    if not parts:
        return None
    numbers = [as_float(part) for part in parts[:3]]
    if len(numbers) < 2 or None in numbers:
        book.add("malformed-record", "not a time, a value and a step, left out", where)
        return None
    time, value, *step = (n for n in numbers if n is not None)
    if step and not abs(step[0]) < _MAX_STEP:
        book.add("malformed-record", "a step out of range, left out", where)
        return None
    return time, value, _whole(parts[2]) if step else 0


def _whole(value: object) -> int:
    """A step within range; not by way of a float where it is an integer, which beyond 2**53 would change it."""
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except ValueError:
        return int(as_float(value) or 0.0)


def metric_series(name: str, points: Sequence[tuple[float, float, int]]) -> Series:
    """A series of points: time in milliseconds, value and step."""
    time, value = np.array([point[:2] for point in points], dtype=np.float64).T
    step = np.array([point[2] for point in points], dtype=np.int64)
    return Series(name=name, step=step, value=value.copy(), wall_time_s=time / 1000)


def _parameters(folder: Path | None) -> dict[str, str]:
    """The parameters of a run: one small file each."""
    found: dict[str, str] = {}
    if folder is not None:
        with contextlib.suppress(OSError):
            for path in sorted((folder / "params").rglob("*"))[:2000]:
                if path.is_file() and path.stat().st_size < 10_000:
                    found[path.relative_to(folder / "params").as_posix()] = path.read_text(
                        "utf-8", errors="replace"
                    ).strip()
    return found


def _database_runs(database: sqlite3.Connection, source: Source, options: ReadOptions) -> Iterator[RawRun]:
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"runs", "metrics"} <= tables:
        raise MalformedLogError(
            f"{source.name}: a SQLite database without MLflow's tables",
            hint=f"its tables are {', '.join(sorted(tables)) or 'none'}",
        )
    runs = database.execute("SELECT run_uuid, name FROM runs ORDER BY start_time, run_uuid").fetchall()
    count = 0
    for identity, label in runs:
        book = NoticeBook()
        series = list(_database_series(database, identity, options, book))
        if series:
            count += 1
            parameters: dict[str, Any] = {}
            if "params" in tables:
                parameters = dict(
                    database.execute("SELECT key, value FROM params WHERE run_uuid = ?", (identity,)).fetchall()
                )
            name = str(label or identity) if len(runs) > 1 else ""
            yield RawRun(name=name, series=tuple(series), config=parameters, notices=book.notices())
    if not count:
        raise NoTrainingSeriesError(f"{source.name}: {len(runs)} runs, none with a metric")


def _database_series(
    database: sqlite3.Connection, identity: str, options: ReadOptions, book: NoticeBook
) -> Iterator[Series]:
    # Written order is lost in SQL; time and step come closest to it.
    rows = database.execute(
        "SELECT key, timestamp, CASE WHEN is_nan THEN NULL ELSE value END, step FROM metrics WHERE run_uuid = ? "
        "ORDER BY key, timestamp, step",
        (identity,),
    )
    points: dict[str, list[tuple[float, float, int]]] = {}
    for key, time, value, step in rows:
        # SQLite keeps any type in any column.
        point = point_of(time, float("nan") if value is None else value, step, book, str(key))
        if point is not None:
            points.setdefault(str(key), []).append(point)
    for key, found in points.items():
        if options.wanted(key):
            yield metric_series(key, found)


def point_of(
    time: object, value: object, step: object, book: NoticeBook, where: str
) -> tuple[float, float, int] | None:
    """Time in milliseconds, value and step of a point of a store; None, and a notice, where one is not a number."""
    number, at = as_float(value), as_float(step or 0)
    if number is None or at is None or not abs(at) < _MAX_STEP:
        book.add("malformed-record", "a value or step that is not a number or out of range, left out", where)
        return None
    if abs(number) >= _MAX_FLOAT:
        number = float("inf") if number > 0 else float("-inf")
    return as_float(time or 0) or 0.0, number, _whole(step or 0)
