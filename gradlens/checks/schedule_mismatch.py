"""GL205: the schedule is longer or shorter than the run."""

from __future__ import annotations

from typing import ClassVar

from gradlens.checks.base import FactCheck
from gradlens.reports.base import Cause


class ScheduleMismatch(FactCheck):
    """The schedule is longer or shorter than the run.

    What it measures
    ----------------
    Whether the rate falls below 6 % of its peak and then rises again gradually to 30 % or more; whether a gradual decay
    ends there and the run goes on at what is left for 30 % of the rows; whether the warm-up takes four fifths of the run.

    Why it matters
    --------------
    A cosine that is asked for more steps than it was made for rises as it fell, and undoes what was learned. A
    warm-up that never ends never reaches its rate. After the end of its schedule a run learns next to nothing.

    Threshold
    ---------
    A rise or a decay over at least eight rows; a hundred rows of rise to twice the first rate. Our own choice. Warm
    restarts, which jump up within a row, are GL203's, and decays by steps are planned.

    When it is wrong
    ----------------
    Cyclic rates that come so low on purpose, and a run that is still warming up.

    What to try
    -----------
    Set the scheduler's length to the steps of the run; count optimizer steps, not batches.

    References
    ----------
    Loshchilov and Hutter, SGDR (2017).
    """

    code = "GL205"
    name = "schedule-mismatch"
    cause: ClassVar[Cause | None] = "schedule_mismatch"
    needs = frozenset({"lr"})
    advice = "set the scheduler's length to the steps of the run"
