"""Series reduced to a few hundred bins, so that a report can be drawn without the run."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gradlens.reports.analysis import Curve

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 240


def reduce_curve(
    step: NDArray[np.int64], value: NDArray[np.float64], has: NDArray[np.bool_], *, bins: int = BINS
) -> Curve | None:
    """The curve for drawing: range and median of each of up to 240 equal stretches of rows; None without a finite value.

    Six digits of each, and the count of values that were logged but are not finite. A picture of a long run shows the highest
    and lowest of each stretch, so that a single spike is never averaged away, and the median, so that it is not taken for the
    level.

    Parameters
    ----------
    step, value, has
        int64[n], float64[n] and bool[n]: where `has` is false nothing was logged.
    """
    n = len(step)
    if n == 0 or not bool(np.isfinite(value).any()):
        return None
    edges = np.unique(np.linspace(0, n, min(bins, n) + 1).astype(np.int64))
    low: list[float | None] = []
    middle: list[float | None] = []
    high: list[float | None] = []
    bad: list[int] = []
    for first, last in pairwise(edges.tolist()):
        part = value[first:last]
        finite = part[np.isfinite(part)]
        bad.append(int(np.count_nonzero(has[first:last]) - np.count_nonzero(np.isfinite(part) & has[first:last])))
        if len(finite) == 0:
            low.append(None)
            middle.append(None)
            high.append(None)
            continue
        low.append(_short(finite.min()))
        middle.append(_short(np.partition(finite, len(finite) // 2)[len(finite) // 2]))
        high.append(_short(finite.max()))
    return Curve(
        first_step=tuple(int(s) for s in step[edges[:-1]]),
        low=tuple(low),
        median=tuple(middle),
        high=tuple(high),
        nonfinite=tuple(bad),
    )


def _short(value: np.float64) -> float:
    # Six digits draw every picture and keep the document small.
    return float(f"{value:.6g}")
