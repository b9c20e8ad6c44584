"""GL303: bad batches come back with a period."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.features.events import period_of
from gradlens.diagnosis.words import percent
from gradlens.reports.analysis import MAX_STEPS_LISTED, Evidence, Finding
from gradlens.reports.base import Severity


class PeriodicBadBatch(Check):
    """Bad batches come back with a period.

    What it measures
    ----------------
    The gaps between joint events: whether three quarters of them are multiples of one period, to within one row.

    Why it matters
    --------------
    A period that divides the epoch points at fixed positions in the data order, one that does not at a recurring
    task (evaluation, checkpointing, a worker's turn).

    Threshold
    ---------
    Four events, a period of at least eight rows, 75 % of the gaps on it. Our own choice.

    When it is wrong
    ----------------
    With few events a period may appear by chance.

    What to try
    -----------
    Take the batch position modulo the epoch length, and look at those examples.

    References
    ----------
    None.
    """

    code = "GL303"
    name = "periodic-bad-batch"
    needs = frozenset({"loss", "norm", "rows"})
    advice = "look at the examples at these positions of the data order"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note with the period and the position within it."""
        if case.beliefs.cause not in {"bad_data", "clip_too_loose"}:
            return
        steps = np.array([case.signals.step[e.first] for e in case.events], dtype=np.int64)
        found = period_of(steps)
        if found is not None:
            period, share = found
            position = int(np.median(steps % period))
            yield self.finding(
                Severity.NOTE,
                f"the events come every {period} steps ({percent(share)} of the gaps), at position {position} of that cycle",
                Evidence(label="period", value=period, unit="steps", n=len(steps)),
                steps=tuple(int(step) for step in steps[:MAX_STEPS_LISTED]),
            )
