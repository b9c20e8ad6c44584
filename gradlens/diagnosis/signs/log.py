"""Signs in the log itself: steps that go back, and what the norms are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.diagnosis.signs.base import sign

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


@sign("step numbers go back", any_length=True)
def steps_back(measured: Measured) -> float:
    """Any resume counts fully. Starts from scratch, rows out of order, strays and ranks that write in turns are none."""
    return float(bool(measured.signals.resumes))


@sign("the schedule goes back to an earlier value and repeats itself from there")
def schedule_replayed(measured: Measured) -> float:
    """What a resume from a checkpoint does where steps were numbered on."""
    return float(bool(measured.schedule.replayed))


@sign("the norms bunch just below the threshold and never exceed it")
def norms_bunched(measured: Measured) -> float:
    """The verdict of the provenance: norms measured after clipping."""
    return float(measured.provenance.verdict == "post_clip")
