"""Series of one run as rows and as an Arrow table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gradlens.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray


class Column(Protocol):
    """What a table needs of a series: `gradlens.run.Series` is one."""

    @property
    def name(self) -> str: ...
    @property
    def step(self) -> NDArray[np.int64]: ...
    @property
    def value(self) -> NDArray[np.float64]: ...
    def __len__(self) -> int: ...


def rows_of(
    series_by_name: Mapping[str, Column],
) -> tuple[NDArray[np.int64], dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]]:
    """The rows of a run, given its series.

    Returns
    -------
    tuple
        The step of each row, int64[n], in the order of the longest series; and for each series by name the rows in
        which it has a value, int64[m], and the values, float64[m]. A step that a series repeats has as many rows as
        the series that repeats it most.
    """
    ordered = sorted(series_by_name.values(), key=len, reverse=True)
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
        s.name: (np.array([row_of[key] for key in keys[s.name]], dtype=np.int64), s.value)
        for s in series_by_name.values()
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


def to_arrow(series: Mapping[str, Column]) -> pa.Table:
    """See `Run.to_arrow`."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("converting a run to a table", "arrow", "pyarrow") from error
    step, cells = rows_of(series)
    columns: dict[str, pa.Array] = {"step": pa.array(step)}
    for name, (rows, values) in cells.items():
        spread, missing = np.zeros(len(step)), np.ones(len(step), dtype=bool)
        spread[rows], missing[rows] = values, False
        columns[_free(name, columns)] = pa.array(spread, mask=missing, from_pandas=False)
    return pa.table(columns)


def to_pandas(series: Mapping[str, Column]) -> pd.DataFrame:
    """See `Run.to_pandas`."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("converting a run to a DataFrame", "pandas", "pandas") from error
    step, cells = rows_of(series)
    columns: dict[str, NDArray[np.int64] | NDArray[np.float64]] = {"step": step}
    for name, (rows, values) in cells.items():
        spread = np.full(len(step), np.nan)
        spread[rows] = values
        columns[_free(name, columns)] = spread
    return pd.DataFrame(columns, copy=False)


def _free(name: str, taken: Mapping[str, object]) -> str:
    """A series that is called `step` as well keeps its values under another name."""
    while name in taken:
        name += "_"
    return name
