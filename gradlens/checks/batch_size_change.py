"""GL305: the noise of loss and norm changes at one step while the loss level hardly does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.reports.base import Cause


class BatchSizeChange(CauseCheck):
    """The noise of loss and norm changes at one step while the loss level hardly does.

    What it measures
    ----------------
    The level of ln norm on both sides of a row, its spread, the spread of the loss, and the change of the loss
    level.

    Why it matters
    --------------
    A batch k times as large averages the noise down by the root of k and the norm with it; the learning rate was
    tuned for the other size. A lost worker has the same effect.

    Threshold
    ---------
    A step of the norm of {norm_step_alone.errors} standard errors and {norm_step_alone.size} times, or all three
    changes together at {noise_changes.score} errors; the loss level within {norm_step_alone.loss_still} deviations,
    and the spread of the loss changing by no more than {noise_changes.loss_to_norm} times as much as the norm,
    since both go with the root of the size. Not within the first {noise_changes.not_before} of the rows. Our own
    limits.

    When it is wrong
    ----------------
    Where the norm is not dominated by noise it hardly depends on the batch.

    What to try
    -----------
    Check batch size, accumulation steps and world size around the step; scale the rate with the size or keep the
    size.

    References
    ----------
    McCandlish et al., An empirical model of large-batch training (2018).
    """

    code = "GL305"
    name = "batch-size-change"
    cause: ClassVar[Cause | None] = "batch_size_change"
    advice = "check batch size, accumulation steps and the number of workers around this step"

    def message(self, case: Case) -> str:
        """By how much the norm changes, and where."""
        up, down = case.norm_step_up, case.norm_step_down
        step = up if up.errors >= down.errors else down
        factor = float(np.exp(step.size if step is up else -step.size))
        return f"the norm level changes {factor:.3g}-fold at step {case.signals.step[step.row]:,} while the loss level hardly does"

    def rows(self, case: Case) -> Iterable[int]:
        """The edge."""
        up, down = case.norm_step_up, case.norm_step_down
        return [(up if up.errors >= down.errors else down).row]
