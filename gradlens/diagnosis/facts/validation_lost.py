"""Evaluations that end in NaN or infinity, while the training itself may look as it should."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity
from gradlens.stats.spikes import stretches_of

#: Evaluations at the end that are not finite, and times the longest such stretch before, from which they count. Our own choice.
MIN_LOST, MANY = 3, 3


def find(measured: Measured) -> tuple[Fact, ...]:
    """A warning where all evaluations are not finite, or more on end than ever before in the log.

    Some logs hold NaN where nothing was evaluated, so a stretch at the end counts from three times the longest one before it.
    """
    series = measured.run.val_loss
    if series is None or measured.numerics.dead_from is not None:
        return ()  # where the training itself ends so, that says it all
    n = len(series.value)
    stretches = stretches_of(~np.isfinite(series.value))
    if not len(stretches) or stretches[-1, 1] != n:
        return ()
    *before, bad = (stretches[:, 1] - stretches[:, 0]).tolist()
    if bad < max(MIN_LOST, MANY * max(before, default=0)):
        return ()
    since = int(series.step[n - bad])
    which = f"all {n:,} evaluations" if bad == n else f"the last {bad:,} of {n:,} evaluations, from step {since:,} on"
    return (
        Fact(
            code="GL307",
            severity=Severity.WARNING,
            message=f"{series.name} is NaN or infinite in {which}: nothing held out tells how good the model is",
            advice="run one evaluation by hand and look for the first batch that is not finite: half precision that overflows without a "
            "loss scale, empty or padded targets, a division by a count of zero, averaged weights that were never set",
            steps=(since,),
            evidence=(Evidence(label="evaluations at the end that are not finite", value=bad, n=n),),
        ),
    )
