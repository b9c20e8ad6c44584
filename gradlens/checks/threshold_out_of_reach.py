"""GL102: the threshold is never reached while spikes go through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import counted
from gradlens.reports.base import Cause


class ThresholdOutOfReach(CauseCheck):
    """The threshold is never reached while spikes go through.

    What it measures
    ----------------
    The threshold over the median norm, the share of steps that reach it, and events in which loss and norm stand
    out together.

    Why it matters
    --------------
    A safety net far above everything catches nothing: single batches move the weights by many times the usual step.

    Threshold
    ---------
    A threshold of {threshold_out_of_reach.headroom} times the median norm, reached by fewer than
    {threshold_out_of_reach.reach} of the steps, with joint events in the log. Our own limits.

    When it is wrong
    ----------------
    If the events did no harm, no action is needed.

    What to try
    -----------
    Lower the threshold to two to four times the usual norm; look at the batches of the listed steps.

    References
    ----------
    Pascanu et al. (2013) found half to ten times the average norm to converge.
    """

    code = "GL102"
    name = "threshold-out-of-reach"
    cause: ClassVar[Cause | None] = "clip_too_loose"
    advice = "lower the threshold towards the 99th percentile of the norms and look at the listed batches"

    def message(self, case: Case) -> str:
        """How far above the norms the threshold lies, and what went through."""
        c = case.clipped
        times = float(np.exp(min(c.headroom, 50.0))) if c else float("nan")
        return f"the threshold is {times:.3g} times the median norm, and {counted(len(case.events), 'spike')} of loss and norm went through"

    def rows(self, case: Case) -> Iterable[int]:
        """The events, strongest first."""
        return [e.first for e in sorted(case.events, key=lambda e: -e.strength)]
