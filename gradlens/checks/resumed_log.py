"""GL007: steps repeat or restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from gradlens.checks.base import Check
from gradlens.checks.case import Case
from gradlens.report import Cause, Evidence, Finding, Severity


class ResumedLog(Check):
    """The log goes back: a resume repeats steps, or several runs share one file.

    What it measures
    ----------------
    Places where the step number falls, how far, and how many rows are superseded by the later attempt.

    Why it matters
    --------------
    Rows of two attempts on one axis look like spikes and shifts. A resume that does not restore the optimizer's state,
    the data order or the schedule also leaves a bump.

    Threshold
    ---------
    Any backward step.

    When it is wrong
    ----------------
    Validation rows that put the epoch into the step column, and counters that restart on purpose (curriculum phases).

    What to try
    -----------
    Check that optimizer state, schedule, random state and data position are restored; log the resumed part as a run of
    its own.

    References
    ----------
    The OPT-175B logbook and the BLOOM chronicles show such restarts.
    """

    code = "GL007"
    name = "resumed-log"
    cause: ClassVar[Cause | None] = "resume_artifact"
    needs = frozenset({"rows"})
    advice = "check that optimizer state, schedule and data position are restored on resume"

    def look(self, case: Case) -> Iterator[Finding]:
        """Yield one finding for all restarts."""
        restarts = case.signals.restarts
        if restarts:
            first = restarts[0]
            yield self.finding(
                Severity.WARNING,
                f"steps go back {len(restarts)} time(s), first from {first.reached:,} to {first.step:,}",
                Evidence(label="restarts", value=len(restarts)),
                Evidence(label="rows superseded", value=sum(r.superseded for r in restarts)),
                steps=tuple(r.step for r in restarts[:20]),
            )
