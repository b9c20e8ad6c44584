"""From where to where the losses went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.reports.analysis import Course

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows whose median stands for the end of a loss.
END_ROWS = 20


def course_of(step: NDArray[np.int64], value: NDArray[np.float64]) -> Course | None:
    """The first, lowest and last finite value of a loss, with their steps; None with fewer than two.

    The last one is the median of the last 20 finite values (of a quarter of them in a shorter log), so that one batch does
    not speak for the end of the run. Of equal lowest values the first counts.

    Parameters
    ----------
    step, value
        int64[n] and float64[n], in order of strictly rising step, so that the order of the log does not matter.
    """
    rows: NDArray[np.int64] = np.flatnonzero(np.isfinite(value))
    if len(rows) < 2:
        return None
    step, value = step[rows], value[rows]
    lowest = int(np.argmin(value))
    end = value[-min(END_ROWS, max(len(rows) // 4, 1)) :]
    return Course(
        first=float(value[0]),
        lowest=float(value[lowest]),
        lowest_step=int(step[lowest]),
        last=float(np.median(end)),
        last_step=int(step[-1]),
    )
