"""GL008: rows of two optimizers seem to alternate in one series."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity


class MixedOptimizers(Check):
    """Rows of two optimizers seem to alternate in one series.

    What it measures
    ----------------
    The correlation of neighbouring residuals of ln norm: two alternating levels make it strongly negative.

    Why it matters
    --------------
    Generator and discriminator, or actor and critic, logged under one name give a series that is neither.

    Threshold
    ---------
    A correlation below -.5 over at least 60 rows. Independent noise gives 0, smooth curves are positive; the limit
    is our own choice.

    When it is wrong
    ----------------
    Alternating batch sizes or sequence lengths look the same.

    What to try
    -----------
    Log each optimizer's norm under a separate name.

    References
    ----------
    None.
    """

    code = "GL008"
    name = "mixed-optimizers"
    needs = frozenset({"norm", "rows"})
    advice = "log each optimizer's norm under its own name"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note where neighbours alternate."""
        residual = case.norm.value - case.norm.level
        residual = residual[np.isfinite(residual)][:20_000]
        if len(residual) < 60 or not np.ptp(residual) > 0:
            return
        limit = 4.0 * float(np.median(np.abs(residual)))
        tame = np.clip(residual, -limit, limit)
        power = float(np.dot(tame, tame))
        correlation = float(np.dot(tame[1:], tame[:-1])) / power if power > 0 else 0.0
        if correlation < -0.5:
            yield self.finding(
                Severity.NOTE,
                "norms alternate between two levels from row to row: two optimizers in one series?",
                Evidence(label="correlation of neighbouring rows", value=correlation, threshold=-0.5, n=len(tame)),
            )
