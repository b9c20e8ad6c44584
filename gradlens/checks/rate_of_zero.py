"""GL204: the learning rate is zero throughout, or long before the run ends."""

from __future__ import annotations

from typing import ClassVar

from gradlens.checks.base import FactCheck
from gradlens.reports.base import Cause


class RateOfZero(FactCheck):
    """The learning rate is zero throughout, or long before the run ends.

    What it measures
    ----------------
    Whether the logged rate is 0 in all rows, or from some row on for at least a tenth of the rows.

    Why it matters
    --------------
    Without a rate nothing is learned; the rest of the run only costs.

    Threshold
    ---------
    Ten rows, and a tenth of the run after a decay. Our own choice.

    When it is wrong
    ----------------
    The column may be the rate of a frozen group of parameters: where the loss comes down all the same it is
    only a note.

    What to try
    -----------
    Print the rate of every parameter group; give the scheduler the number of optimizer steps of the whole run.

    References
    ----------
    PyTorch documentation of torch.optim.lr_scheduler.
    """

    code = "GL204"
    name = "rate-of-zero"
    cause: ClassVar[Cause | None] = "lr_zero"
    needs = frozenset({"lr"})
    advice = "give the scheduler the number of optimizer steps of the whole run"
