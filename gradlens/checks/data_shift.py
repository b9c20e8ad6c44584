"""GL304: the loss level changes suddenly with no change in the schedule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Times its level to or from which the norm moves where it is told of. Our own choice.
NORM_MOVES = 1.2


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
        loss, side = case.signals.loss, max(len(case) // 40, 8)
        was, now = _level(loss[max(found.row - side, 0) : found.row]), _level(loss[found.row : found.row + side])
        levels = f"from about {figure(was)} to {figure(now)}"
        norm = _norm_too(case, found.row, side)
        return f"the loss {word} {levels} at step {at:,} and does not return at once{norm}"

    def facts(self, case: Case) -> Iterator[Evidence]:
        """The step in deviations of its noise, and the signs."""
        up = case.signs["sudden_step"] >= case.signs["sudden_drop"]
        yield Evidence(label="deviations of the noise", value=(case.loss_step if up else case.loss_drop).deviations)
        yield from super().facts(case)

    def rows(self, case: Case) -> Iterable[int]:
        """The edge."""
        return [(case.loss_step if case.signs["sudden_step"] >= case.signs["sudden_drop"] else case.loss_drop).row]


def _level(value: NDArray[np.float64]) -> float:
    """The median of the finite values, NaN without any."""
    value = value[np.isfinite(value)]
    return float(np.median(value)) if len(value) else float("nan")


def _norm_too(case: Case, row: int, side: int) -> str:
    """What the norm does there, where it moves by a fifth or more."""
    was, now = _level(case.signals.norm[max(row - side, 0) : row]), _level(case.signals.norm[row : row + side])
    if not was > 0 or not now > 0 or abs(float(np.log(now / was))) < np.log(NORM_MOVES):
        return ""
    return f"; the norm goes from {figure(was)} to {figure(now)}"
