"""GL504: the loss swings with a steady period."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.features.curves import rolling_level, thinned
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Parts of the run that the level is taken from, so that swings of a twentieth and of a tenth of the run are not
#: taken for the level.
WINDOWS = (8, 3)
#: Correlation after a period, and half a period before; rows and lags without which nothing is said; periods that a
#: run must hold.
MIN_CORRELATION, MIN_OPPOSITE, MIN_ROWS, MIN_LAGS, MIN_PERIODS, MAX_ROWS = 0.5, -0.25, 120, 12, 8, 4000


class LossOscillation(Check):
    """The loss swings with a steady period.

    What it measures
    ----------------
    The highest autocorrelation of ln loss around its rolling median after the first zero crossing, up to lags of an eighth
    of the run, if it is negative half a period earlier. A swing from row to row has a period of 2.

    Why it matters
    --------------
    A steady swing points at the data order (an epoch, a sorted data set), at two losses taking turns, or at
    momentum near the edge of stability.

    Threshold
    ---------
    A correlation of .5, with -.25 at half the lag. Our own choice.

    When it is wrong
    ----------------
    Cyclic learning rates make the loss swing on purpose.

    What to try
    -----------
    Compare the period with the rows of an epoch; shuffle, or lower the momentum.

    References
    ----------
    None.
    """

    code = "GL504"
    name = "loss-oscillation"
    needs = frozenset({"loss", "rows"})
    advice = "compare the period with the length of an epoch; shuffle the data"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note with the period."""
        found = max((swing_of(case.loss.value, len(case) // part | 1) for part in WINDOWS), key=lambda swing: swing[1])
        period, correlation, n = found
        if period:
            yield self.finding(
                Severity.NOTE,
                f"the loss swings with a period of {period} rows",
                Evidence(label="correlation after a period", value=correlation, threshold=MIN_CORRELATION, n=n),
            )


def swing_of(value: NDArray[np.float64], window: int) -> tuple[int, float, int]:
    """The period of a swing of float64[n] around its rolling median, its correlation, and the rows looked at; 0 without one.

    The correlation after a period is the highest one after the first zero crossing, so that noise with a memory, whose
    correlation only fades, has no period; a swing from row to row has one of 2.
    """
    residual = value - rolling_level(value, max(window, 31) | 1)
    residual = thinned(residual[np.isfinite(residual)], MAX_ROWS)
    m = len(residual)
    if m < MIN_ROWS:
        return 0, 0.0, m
    limit = 3.0 * float(np.median(np.abs(residual)))
    tame = np.clip(residual, -limit, limit)
    spectrum = np.fft.rfft(tame - tame.mean(), 2 * m)
    covariance = np.fft.irfft((spectrum * spectrum.conj()).real)[: m // MIN_PERIODS]
    if len(covariance) < MIN_LAGS or not covariance[0] > 0:
        return 0, 0.0, m
    correlation = covariance / covariance[0]
    below = np.flatnonzero(correlation < 0)
    if not len(below) or int(below[0]) + 2 >= len(correlation):
        return 0, 0.0, m
    lag = int(below[0]) + int(np.argmax(correlation[below[0] :]))
    if correlation[lag] <= MIN_CORRELATION or correlation[lag // 2] >= MIN_OPPOSITE:
        return 0, 0.0, m
    return lag * max(len(value) // m, 1), float(correlation[lag]), m
