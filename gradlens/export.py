"""A run as a table: for pandas and Arrow, and as `.parquet`, `.csv` or `.jsonl` files, written atomically."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from gradlens.errors import MissingExtraError, UsageError
from gradlens.files import write_whole
from gradlens.run import Run
from gradlens.tables import rows_of, to_arrow

#: A spreadsheet takes a cell that starts with one of these for a formula; in some languages the wide ones too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_run(run: Run, path: Path) -> None:
    """Write a run as gradlens read it; the format is that of the suffix.

    Raises
    ------
    UsageError
        A suffix that is none of `SUFFIXES`.
    MissingExtraError
        Parquet without pyarrow.
    OutputError
        The file cannot be written; an older file of that name is untouched.
    """
    require_writer(path)
    write_whole(path, _WRITERS[path.suffix.lower()](run))


def require_writer(path: Path) -> None:
    """Check, before a log is read, that such a file can be written.

    Raises
    ------
    UsageError, MissingExtraError
        As for `write_run`.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{path}: cannot write {suffix or 'a file without suffix'}", hint="one of " + " ".join(SUFFIXES)
        )
    if suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401 -- whether it is there
        except ImportError as error:
            raise MissingExtraError(f"{path}: a Parquet file", "arrow", "pyarrow") from error


def _parquet(run: Run) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(to_arrow(run.series), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _records(run: Run) -> Iterator[tuple[int, dict[str, float]]]:
    step, cells = rows_of(run.series)
    records: list[dict[str, float]] = [{} for _ in step]
    for name, (rows, values) in cells.items():
        free = "step_" if name == "step" else name
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            records[row][free] = value
    yield from zip(step.tolist(), records, strict=True)


def _jsonl(run: Run) -> str:
    """One object per row; NaN and infinities as Python's json writes them, missing cells left out."""
    return "".join(json.dumps({"step": step, **record}) + "\n" for step, record in _records(run))


def _csv(run: Run) -> str:
    names = ["step_" if name == "step" else name for name in run.series]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *(f"'{n}" if n.startswith(_FORMULA) else n for n in names)])
    for step, record in _records(run):
        writer.writerow([step, *(_cell(record.get(name)) for name in names)])
    return text.getvalue()


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return "NaN" if math.isnan(value) else repr(value)


_WRITERS: Mapping[str, Callable[[Run], str | bytes]] = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
SUFFIXES = tuple(_WRITERS)
