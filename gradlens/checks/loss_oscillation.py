"""GL504: the loss swings with a steady period."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.features.curves import rolling_level, thinned
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity


class LossOscillation(Check):
    """The loss swings with a steady period.

    What it measures
    ----------------
    The highest autocorrelation of the smoothed residuals of ln loss at lags of 8 rows to a twelfth of the run, if a
    half period earlier it is as negative.

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
        residual = case.loss.value - rolling_level(case.loss.value, max(len(case) // 8, 31) | 1)
        residual = thinned(residual[np.isfinite(residual)], 4000)
        m = len(residual)
        if m < 120:
            return
        limit = 3.0 * float(np.median(np.abs(residual)))
        tame = np.clip(residual, -limit, limit)
        spectrum = np.fft.rfft(tame - tame.mean(), 2 * m)
        covariance = np.fft.irfft((spectrum * spectrum.conj()).real)[: m // 12]
        if len(covariance) < 12 or not covariance[0] > 0:
            return
        correlation = covariance / covariance[0]
        lag = 8 + int(np.argmax(correlation[8:]))
        if correlation[lag] > 0.5 and correlation[lag // 2] < -0.25:
            period = lag * max(len(case) // m, 1)
            yield self.finding(
                Severity.NOTE,
                f"the loss swings with a period of {period} rows",
                Evidence(label="correlation after a period", value=float(correlation[lag]), threshold=0.5, n=m),
            )
