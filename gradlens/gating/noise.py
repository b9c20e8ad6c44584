"""The noise of the loss from row to row, from what a summary keeps of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradlens.gating.summary import RunSummary
from gradlens.stats.dependence import effective_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Windows below which a deviation is too rough to judge by. Our own choice.
MIN_WINDOWS = 10


def row_noise(runs: Sequence[RunSummary], part: NDArray[np.bool_]) -> float | None:
    """The deviation of single rows about a straight line through `part`, the mean of all runs; None where it is too short.

    From the windows: their deviation times the root of the rows in one, widened by what the windows depend on each other. So it
    is the same for runs of any length and logging interval, and larger for a loss that wanders than its rows alone would show.
    """
    found = [_noise_of(run.columns["loss"][part], run.columns["losses"][part]) for run in runs]
    known = [noise for noise in found if noise is not None]
    return float(np.mean(known)) if known else None


def _noise_of(loss: NDArray[np.float64], rows: NDArray[np.float64]) -> float | None:
    known = np.isfinite(loss)
    n = int(known.sum())
    if n < MIN_WINDOWS:
        return None
    place = np.flatnonzero(known).astype(np.float64)
    residual = loss[known] - np.polyval(np.polyfit(place, loss[known], 1), place)
    deviation = math.sqrt(float(np.sum(residual**2)) / (n - 2))
    return deviation * math.sqrt(float(rows[known].mean()) * n / min(effective_size(residual), n))
