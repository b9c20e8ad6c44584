"""A run as a table: for pandas and Arrow, and as `.parquet`, `.csv` or `.jsonl` files, written whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gradlens.errors import MissingExtraError, SourceError, UsageError
from gradlens.run import Run

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

SUFFIXES = (".parquet", ".csv", ".jsonl")
#: A spreadsheet takes a cell that starts with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_run(run: Run, path: Path) -> None:
    """Write a run as gradlens read it; the format is that of the suffix.

    Raises
    ------
    UsageError
        A suffix that is none of `SUFFIXES`.
    SourceError
        The file cannot be written; an older file of that name is untouched.
    """
    writers = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise UsageError(
            f"{path}: cannot write {path.suffix or 'a file without suffix'}", hint="one of " + " ".join(SUFFIXES)
        )
    data = writer(run)
    scratch: str | None = None
    try:
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(scratch).chmod(0o666 & ~_umask())
        Path(scratch).replace(path)
    except OSError as error:
        if scratch is not None:
            with contextlib.suppress(OSError):
                Path(scratch).unlink()
        raise SourceError(f"{path}: {error.strerror or error}", hint="check the folder and its permissions") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def rows_of(run: Run) -> tuple[NDArray[np.int64], dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]]:
    """The rows of a run.

    Returns
    -------
    tuple
        The step of each row, int64[n], in the order of the longest series; and for each series by name the rows in
        which it has a value, int64[m], and the values, float64[m]. A step that a series repeats has as many rows as
        the series that repeats it most.
    """
    ordered = sorted(run.series.values(), key=len, reverse=True)
    place: dict[tuple[int, int], float] = {}
    keys = {s.name: _keys(s.step) for s in ordered}
    if ordered:
        base = keys[ordered[0].name]
        place = {key: float(row) for row, key in enumerate(base)}
        reached = np.maximum.accumulate(ordered[0].step) if len(ordered[0]) else ordered[0].step
        for series in ordered[1:]:
            after = np.searchsorted(reached, series.step, side="right") - 1
            for key, row in zip(keys[series.name], after.tolist(), strict=True):
                place.setdefault(key, row + 0.5)
    # Stable: rows that no series of the base has keep the order in which their series wrote them.
    sequence = sorted(place, key=lambda key: (place[key], 0 if place[key].is_integer() else key[0]))
    row_of = {key: row for row, key in enumerate(sequence)}
    step = np.array([key[0] for key in sequence], dtype=np.int64)
    cells = {
        s.name: (np.array([row_of[key] for key in keys[s.name]], dtype=np.int64), s.value) for s in run.series.values()
    }
    return step, cells


def _keys(step: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Each step with the count of its earlier appearances."""
    steps = step.tolist()
    if not steps or bool(np.all(step[1:] > step[:-1])):
        return [(s, 0) for s in steps]
    seen: dict[int, int] = {}
    keys = []
    for s in steps:
        keys.append((s, seen.get(s, 0)))
        seen[s] = seen.get(s, 0) + 1
    return keys


def to_arrow(run: Run) -> pa.Table:
    """See `Run.to_arrow`."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("a table of a run", "all") from error
    step, cells = rows_of(run)
    columns: dict[str, pa.Array] = {"step": pa.array(step)}
    for name, (rows, values) in cells.items():
        spread, missing = np.zeros(len(step)), np.ones(len(step), dtype=bool)
        spread[rows], missing[rows] = values, False
        columns[_free(name, columns)] = pa.array(spread, mask=missing, from_pandas=False)
    return pa.table(columns)


def _free(name: str, taken: dict[str, pa.Array]) -> str:
    """A series that is called `step` as well keeps its values under another name."""
    while name in taken:
        name += "_"
    return name


def _parquet(run: Run) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(to_arrow(run), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _records(run: Run) -> Iterator[tuple[int, dict[str, float]]]:
    step, cells = rows_of(run)
    records: list[dict[str, float]] = [{} for _ in step]
    for name, (rows, values) in cells.items():
        free = "step_" if name == "step" else name
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            records[row][free] = value
    yield from zip(step.tolist(), records, strict=True)


def _jsonl(run: Run) -> bytes:
    """One object a row; NaN and infinities as Python's json writes them, missing cells left out."""
    return "".join(json.dumps({"step": step, **record}) + "\n" for step, record in _records(run)).encode()


def _csv(run: Run) -> bytes:
    names = ["step_" if name == "step" else name for name in run.series]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *(f"'{n}" if n.startswith(_FORMULA) else n for n in names)])
    for step, record in _records(run):
        writer.writerow([step, *(_cell(record.get(name)) for name in names)])
    return text.getvalue().encode()


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return "NaN" if math.isnan(value) else repr(value)
