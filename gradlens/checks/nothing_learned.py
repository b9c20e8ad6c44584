"""GL514: no gradient reaches the weights, or no signal is in the loss."""

from __future__ import annotations

from typing import ClassVar

from gradlens.checks.base import FactCheck
from gradlens.reports.base import Cause


class NothingLearned(FactCheck):
    """No gradient reaches the weights, or no signal is in the loss.

    What it measures
    ----------------
    A norm of exactly 0 in all rows while the loss does not come down, or from some row to the end; a loss that
    is constant to the last digit, or jumps to exactly 0 and stays there; and losses of exactly 0 throughout the run,
    with a gap between them and those of all other batches.

    Why it matters
    --------------
    A detached loss, frozen parameters, masked labels, dead units, or advantages that are all equal: the run
    costs and learns nothing.

    Threshold
    ---------
    Ten rows, five at the end; a twentieth of at least forty rows where zeros stand among others, evenly. A loss that comes
    down to 0 by itself is none of these.

    When it is wrong
    ----------------
    A norm of 0 in a run whose loss comes down was not measured (GL003).

    What to try
    -----------
    Print loss, labels and the norm of each layer for one batch before and after an update.

    References
    ----------
    None.
    """

    code = "GL514"
    name = "nothing-learned"
    cause: ClassVar[Cause | None] = "not_learning"
    advice = "print loss, labels and the norm of each layer for one batch before and after an update"
