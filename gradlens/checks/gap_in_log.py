"""GL006: steps are missing from the log."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import counted
from gradlens.reports.analysis import MAX_STEPS_LISTED, Evidence, Finding
from gradlens.reports.base import Severity


class GapInLog(Check):
    """Steps are missing from the log.

    What it measures
    ----------------
    Distances between neighbouring rows of more than five times the usual one.

    Why it matters
    --------------
    Crashes, lost files and skipped logging leave holes. Whatever happened there looks like a sudden change between
    its edges.

    Threshold
    ---------
    More than five usual distances, and more than ten steps. Our own choice.

    When it is wrong
    ----------------
    Logs that are dense at the start and sparse later by design.

    What to try
    -----------
    Check whether the missing part is in another file of the run; a folder is read as a whole.

    References
    ----------
    None.
    """

    code = "GL006"
    name = "gap-in-log"
    needs = frozenset({"rows"})
    advice = "look for the missing steps in other files of the run"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note for all gaps."""
        gaps = np.diff(case.signals.step)
        usual = case.signals.log_interval or 1.0
        rows = np.flatnonzero((gaps > 5 * usual) & (gaps > 10))
        if len(rows):
            largest = int(gaps.max())
            yield self.finding(
                Severity.NOTE,
                f"{counted(len(rows), 'gap')}, the largest of {largest:,} steps",
                Evidence(label="largest gap", value=largest, threshold=5 * usual, unit="steps"),
                steps=tuple(int(case.signals.step[row]) for row in rows[:MAX_STEPS_LISTED]),
            )
