"""The verdict of a report: what happened to the run, whether that is a problem, and what could not be judged."""

from __future__ import annotations

from gradlens.frozen import frozen
from gradlens.reports.base import Outcome, Status


@frozen
class NotJudged:
    """Something that the log does not allow to judge, why not, and what to log or pass so that it can be."""

    what: str
    why: str
    remedy: str


@frozen
class Verdict:
    """What can be said of a run as a whole.

    `outcome` is a matter of fact, `since_step` the step it dates from, None where it dates from none. `status` is `clear` only
    for what is in `judged`, the names of the checks that ran.
    """

    status: Status
    headline: str
    outcome: Outcome
    since_step: int | None
    judged: tuple[str, ...]
    not_judged: tuple[NotJudged, ...]
