"""GL404: single losses or norms are not finite."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.checks.base import Check, steps_at
from gradlens.checks.ending import kind_of
from gradlens.checks.nonfinite_streak import MIN_STREAK
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import counted
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity
from gradlens.run import MISSING_VALUES

MAX_NAMED = 5


class NonfiniteValue(Check):
    """Single losses or norms are not finite.

    What it measures
    ----------------
    The rows with a NaN or infinite loss or norm, their number and the first steps, where no more than four of them follow
    each other; longer streaks are GL403's. And the rows without a loss or a norm that should have one by what was logged
    before.

    Why it matters
    --------------
    The run went on, but the step was lost or, worse, applied: a NaN that reaches the weights ends a run, one that a
    loss scaler skips costs a batch. None of the figures of a report shows it, since a value that is not finite enters
    none of them.

    Threshold
    ---------
    One row. Our own choice.

    When it is wrong
    ----------------
    Some trainers log NaN where nothing was measured, and a loss scaler overflows now and then on purpose.

    What to try
    -----------
    Look at the batches of the listed steps: a NaN loss points at the forward pass or the data, an infinite norm at the
    backward pass.

    References
    ----------
    PyTorch documentation of torch.autograd.set_detect_anomaly.
    """

    code = "GL404"
    name = "nonfinite-value"
    advice = "look at the batches of these steps: a NaN loss points at the forward pass or the data"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note for all of them."""
        s = case.signals
        bad_loss, bad_norm = s.bad_loss, s.bad_norm
        rows = np.flatnonzero(bad_loss | bad_norm)
        yield from self._missing(case)
        # Overflows of a run that goes on are told by the check of that cause.
        overflows = case.cause == "fp16_overflow" and not bad_loss.any()
        told = any(fact.code == "GL405" for fact in case.facts) and not (bad_loss ^ bad_norm).any()
        if len(rows) == 0 or overflows or told or case.numerics.longest_streak >= MIN_STREAK:
            return
        parts = [
            f"the {word} is {kind_of(value[bad])} in {counted(int(bad.sum()), 'row')}"
            for word, bad, value in (("loss", bad_loss, s.loss), ("norm", bad_norm, s.norm))
            if bad.any()
        ]
        at = "at step" if len(rows) == 1 else "first at steps" if len(rows) > MAX_NAMED else "at steps"
        named = ", ".join(f"{step:,}" for step in steps_at(case, rows, MAX_NAMED))
        yield self.finding(
            Severity.NOTE,
            f"{' and '.join(parts)}, {at} {named}",
            Evidence(label="rows with a value that is not finite", value=len(rows), threshold=1.0, n=len(case)),
            steps=steps_at(case, rows),
        )

    def _missing(self, case: Case) -> Iterator[Finding]:
        """A note for each of loss and norm that has no values where reading expected some."""
        for notice in case.run.notices:
            if notice.code == MISSING_VALUES:
                yield self.finding(
                    Severity.NOTE,
                    f"no value in {counted(notice.count, 'row')} that should have one ({notice.where}): a NaN that the format "
                    "cannot represent looks like this",
                    Evidence(label="rows without a value", value=notice.count, threshold=1.0, n=len(case)),
                )
