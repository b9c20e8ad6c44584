"""GL403: losses or norms are not finite for several rows in a row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.checks.base import Check, steps_at
from gradlens.diagnosis.case import Case
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity

#: Consecutive rows that make a streak. Our own choice.
MIN_STREAK = 5


class NonfiniteStreak(Check):
    """Losses or norms are not finite for several rows in a row.

    What it measures
    ----------------
    The longest run of rows with a NaN or infinite loss or norm.

    Why it matters
    --------------
    An isolated value while a loss scale recovers is normal; a streak means that steps are lost, and a streak that
    never ends means that the run is lost.

    Threshold
    ---------
    Five rows. Our own choice. Shorter streaks and single values are GL404's.

    When it is wrong
    ----------------
    Some trainers log NaN where nothing was measured.

    What to try
    -----------
    Look at the first of them: a NaN loss points at the forward pass or the data, an infinite norm at the backward
    pass.

    References
    ----------
    PyTorch documentation of torch.autograd.set_detect_anomaly.
    """

    code = "GL403"
    name = "nonfinite-streak"
    advice = "look at the first non-finite step: a NaN loss points at the forward pass or the data"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note for the longest streak."""
        streak = case.numerics.longest_streak
        if streak >= MIN_STREAK:
            s = case.signals
            rows = np.flatnonzero(s.bad_loss | s.bad_norm)
            yield self.finding(
                Severity.NOTE,
                f"loss or norm is not finite in {len(rows):,} rows, up to {streak:,} in a row, first at step {s.step[rows[0]]:,}",
                Evidence(label="longest streak", value=streak, threshold=MIN_STREAK, unit="rows"),
                steps=steps_at(case, rows[:1]),
            )
