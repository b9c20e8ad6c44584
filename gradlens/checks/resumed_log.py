"""GL007: the log goes back: a resume repeats steps, or several runs share one file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import counted
from gradlens.reports.base import Cause


class ResumedLog(CauseCheck):
    """The log goes back: a resume repeats steps, or several runs share one file.

    What it measures
    ----------------
    Places where the step number falls and rows go on rising from there over steps that were logged before, how far, and
    how many rows the later attempt supersedes; and places where the learning rate goes back to an earlier value and
    repeats itself from there. Rows out of place, single rows with a small step (a summary at the end) and several ranks
    that write in turns are not an attempt, and a start from scratch is not a resume: a notice counts them.

    Why it matters
    --------------
    Rows of two attempts on one axis look like spikes and shifts. A resume that does not restore the optimizer's
    state, the data order or the schedule also leaves a bump.

    Threshold
    ---------
    Two rows that repeat steps and lead on beyond the step reached, or five that end before it; twenty rows of the
    schedule repeated exactly. Our own choice.

    When it is wrong
    ----------------
    Counters that restart on purpose (curriculum phases), and a second start that the loss cannot tell from a resume.

    What to try
    -----------
    Check that optimizer state, schedule, random state and data position are restored; log the resumed part as a
    separate run.

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
        restarts = case.signals.resumes
        if restarts:
            first = restarts[0]
            return f"steps go back {counted(len(restarts), 'time')}, first from {first.reached:,} to {first.step:,}"
        return "the schedule goes back to an earlier value and repeats itself from there"

    def rows(self, case: Case) -> Iterable[int]:
        """The rows at which it went on."""
        return [restart.index for restart in case.signals.resumes] or case.schedule.replayed
