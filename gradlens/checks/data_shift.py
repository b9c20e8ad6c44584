"""GL304: the loss level changes suddenly with no change in the schedule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.reports.base import Cause


class DataShift(CauseCheck):
    """The loss level changes suddenly with no change in the schedule.

    What it measures
    ----------------
    The largest difference between the medians of the 8 to 30 rows on both sides of a row, in standard errors and
    local deviations, how sudden it is, and how much of it lasts. Jumps of the learning rate and trends are taken
    off.

    Why it matters
    --------------
    A new data source, a changed mixture, a new sequence length or a broken preprocessing step: the model meets data
    it was not trained on.

    Threshold
    ---------
    {sudden_step.errors} standard errors and {sudden_step.deviations} deviations, the edge within three rows. On
    labelled runs at most 5.3 errors without and at least 8 with the fault. From a loss below
    {step_matters.converged} of its start, the rise must also make up {step_matters.rise} of the descent.

    When it is wrong
    ----------------
    Adam's lag after a shock and a resume without optimizer state leave a similar step. A sudden fall of the loss
    may also be sudden learning, which is slower than three rows.

    What to try
    -----------
    Compare the data before and after the step: source, mixture, length, tokenizer.

    References
    ----------
    None.
    """

    code = "GL304"
    name = "data-shift"
    cause: ClassVar[Cause | None] = "data_shift"
    advice = "compare the data before and after this step: source, mixture, length, preprocessing"

    def message(self, case: Case) -> str:
        """Where and how much."""
        step, drop = case.loss_step, case.loss_drop
        up = case.signs["sudden_step"] >= case.signs["sudden_drop"]
        found = step if up else drop
        word = "rises" if up else "falls"
        at = case.signals.step[found.row]
        return f"the loss level {word} by {found.deviations:.3g} deviations at step {at:,} and does not return at once"

    def rows(self, case: Case) -> Iterable[int]:
        """The edge."""
        return [(case.loss_step if case.signs["sudden_step"] >= case.signs["sudden_drop"] else case.loss_drop).row]
