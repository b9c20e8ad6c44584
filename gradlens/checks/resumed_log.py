"""GL007: the log goes back: a resume repeats steps, or several runs share one file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from gradlens.checks.base import CauseCheck
from gradlens.checks.case import Case
from gradlens.report import Cause


class ResumedLog(CauseCheck):
    """The log goes back: a resume repeats steps, or several runs share one file.

    What it measures
    ----------------
    Places where the step number falls, how far, and how many rows are superseded by the later attempt; and places
    where the learning rate goes back to an earlier value and repeats itself from there.

    Why it matters
    --------------
    Rows of two attempts on one axis look like spikes and shifts. A resume that does not restore the optimizer's
    state, the data order or the schedule also leaves a bump.

    Threshold
    ---------
    Any backward step; twenty rows of the schedule repeated exactly.

    When it is wrong
    ----------------
    Validation rows that put the epoch into the step column, and counters that restart on purpose (curriculum
    phases).

    What to try
    -----------
    Check that optimizer state, schedule, random state and data position are restored; log the resumed part as a run
    of its own.

    References
    ----------
    The OPT-175B logbook and the BLOOM chronicles show such restarts.
    """

    code = "GL007"
    name = "resumed-log"
    cause: ClassVar[Cause | None] = "resume_artifact"
    advice = "check that optimizer state, schedule and data position are restored on resume"

    def message(self, case: Case) -> str:
        """Where the log or its schedule goes back."""
        restarts = case.signals.restarts
        if restarts:
            first = restarts[0]
            return f"steps go back {len(restarts)} time(s), first from {first.reached:,} to {first.step:,}"
        return "the schedule goes back to an earlier value and repeats itself from there"

    def rows(self, case: Case) -> Iterable[int]:
        """The rows at which it went on."""
        return [restart.index for restart in case.signals.restarts] or case.schedule.replayed
