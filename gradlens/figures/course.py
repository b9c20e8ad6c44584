"""From where to where the losses went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.reports.analysis import Course
from gradlens.run import Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows whose median stands for the end of a loss.
END_ROWS = 20


def course_of(series: Series | None) -> Course | None:
    """The first, lowest and last finite value of a loss, with their steps; None with fewer than two.

    The last one is the median of the last 20 finite values (of a quarter of them in a shorter log), so that one batch does
    not speak for the end of the run. Of equal lowest values the first counts.
    """
    if series is None:
        return None
    rows: NDArray[np.int64] = np.flatnonzero(np.isfinite(series.value))
    if len(rows) < 2:
        return None
    value = series.value[rows]
    lowest = int(np.argmin(value))
    end = value[-min(END_ROWS, max(len(rows) // 4, 1)) :]
    return Course(
        first=float(value[0]),
        lowest=float(value[lowest]),
        lowest_step=int(series.step[rows[lowest]]),
        last=float(np.median(end)),
        last_step=int(series.step[rows[-1]]),
    )
