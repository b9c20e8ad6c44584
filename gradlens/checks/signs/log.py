"""Signs in the log itself: steps that go back, and what the norms are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.checks.signs.base import sign

if TYPE_CHECKING:
    from gradlens.checks.case import Case


@sign("step numbers go back")
def steps_back(case: Case) -> float:
    """Any restart counts fully; rows out of order, strays and ranks that write in turns are none (`gradlens.attempts`)."""
    return float(bool(case.signals.restarts))


@sign("the schedule goes back to an earlier value and repeats itself from there")
def schedule_replayed(case: Case) -> float:
    """What a resume from a checkpoint does where steps were numbered on."""
    return float(bool(case.schedule.replayed))


@sign("the norms bunch right below the threshold and never exceed it")
def norms_bunched(case: Case) -> float:
    """The verdict of the provenance."""
    return float(case.provenance.verdict == "post_clip")
