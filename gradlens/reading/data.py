"""Runs from what a Python program holds: frames, mappings of arrays, lists of records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.errors import NoTrainingSeriesError, UsageError
from gradlens.readers.base import Column, NoticeBook, RawRun, ReadOptions
from gradlens.reading.assemble import assemble
from gradlens.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TAKES = "pass a path, a folder, a DataFrame, a mapping of names to arrays, a list of dicts, or what gradlens.read gave"


def is_data(source: Any) -> bool:
    """Whether `source` is a frame, a mapping of arrays or a list of records, and not a path or a run."""
    if isinstance(source, Mapping) or _is_frame(source):
        return True
    return isinstance(source, Sequence) and not isinstance(source, str) and bool(source) and all(
        isinstance(record, Mapping) for record in source
    )  # fmt: skip


def runs_from_data(source: Any, options: ReadOptions) -> list[Run]:
    """The runs in a frame (pandas or polars), a mapping of names to arrays, or a list of dicts.

    Columns have the meaning that their names have in a log. A cell that is None or missing holds no value; texts are left
    out with a notice.

    Raises
    ------
    UsageError
        Arrays of different lengths, or of more than one dimension.
    NoTrainingSeriesError
        No loss and no gradient norm among the columns.
    """
    book = NoticeBook()
    columns, n_rows = _columns(source, book)
    raw = RawRun(columns=tuple(columns), n_rows=n_rows, notices=book.notices())
    runs = assemble(raw, id="data", source="data", format="data", options=options)
    if not any(run.loss is not None or run.grad_norm is not None for run in runs):
        names = ", ".join(column.name for column in columns[:8]) or "none"
        raise NoTrainingSeriesError(
            f"no loss and no gradient norm among the columns ({names})",
            hint="name them with loss=... and grad_norm=...",
        )
    return runs


def refuse(source: Any) -> UsageError:
    """The error for something that is not a source."""
    return UsageError(f"cannot read a {type(source).__name__}", hint=_TAKES)


def _is_frame(source: Any) -> bool:
    """Whether it is a frame of pandas or polars, without importing either."""
    return hasattr(source, "columns") and hasattr(source, "shape") and hasattr(source, "__getitem__")


def _columns(source: Any, book: NoticeBook) -> tuple[list[Column], int]:
    if isinstance(source, Mapping):
        named: list[tuple[str, Any]] = [(str(name), values) for name, values in source.items()]
    elif _is_frame(source):
        named = [(str(name), source[name]) for name in source.columns]
        # pandas keeps the step in the index where somebody has set it.
        index = getattr(source, "index", None)
        name_of_index = getattr(index, "name", None)
        if name_of_index is not None:
            named.insert(0, (str(name_of_index), index))
    else:
        return _from_records(source, book), len(source)
    arrays = [(name, _array(name, values)) for name, values in named]
    lengths = {len(array) for _, array in arrays}
    if len(lengths) > 1:
        told = ", ".join(f"{name} has {len(array)}" for name, array in arrays[:4])
        raise UsageError(
            f"columns of different lengths: {told}", hint="one value per row in every column, NaN where none is"
        )
    found = [column for name, array in arrays if (column := _column(name, array, book)) is not None]
    return found, lengths.pop() if lengths else 0


def _array(name: str, values: Any) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a tensor, on whatever device
        values = values.detach().cpu()
    array = np.asarray(values)
    if array.ndim != 1:
        raise UsageError(f"{name}: {array.ndim} dimensions", hint="one number per row")
    return array


def _column(name: str, array: NDArray[Any], book: NoticeBook) -> Column | None:
    if array.dtype.kind in "fiub":
        return Column(name=name, value=array.astype(np.float64))
    return _from_cells(name, list(enumerate(array.tolist())), book, len(array))


def _from_records(records: Iterable[Mapping[str, Any]], book: NoticeBook) -> list[Column]:
    cells: dict[str, list[tuple[int, Any]]] = {}
    n_rows = 0
    for row, record in enumerate(records):
        n_rows = row + 1
        for name, value in record.items():
            cells.setdefault(str(name), []).append((row, value))
    found = (_from_cells(name, pairs, book, n_rows) for name, pairs in cells.items())
    return [column for column in found if column is not None]


def _from_cells(name: str, cells: list[tuple[int, Any]], book: NoticeBook, n_rows: int) -> Column | None:
    rows, values = [], []
    for row, value in cells:
        if value is None:
            continue
        try:
            values.append(float(value))
            rows.append(row)
        except (TypeError, ValueError):
            book.add("text-column", f"{name}: not numbers, left out", f"row {row}")
    if not values:
        return None
    row_of = None if len(rows) == n_rows else np.asarray(rows, dtype=np.int64)
    return Column(name=name, value=np.asarray(values, dtype=np.float64), row=row_of)
