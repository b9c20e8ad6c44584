"""A loss that leaves its lowest level for a higher one and stays there: less than half of the descent is lost, but plainly so.

Noise comes back, and so does a rise that a rate makes which jumps up. A level that lies many deviations above the lowest one for a fifth of
the run and more, by a quarter of itself, is something that the run no longer knows, or data that it never knew.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.smoothed import averages_over
from gradlens.diagnosis.features.curves import block_medians, neighbour_noise
from gradlens.diagnosis.features.progress import Progress
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure, percent
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity
from gradlens.stats.robust import MAD_TO_SIGMA

#: Rows without which nothing is told, and levels that are looked at.
MIN_ROWS, BLOCKS = 80, 20
#: Share of the descent that is lost and of its lowest level that the loss ends above it: either pair. Our own choice.
LOST, RISE = (0.12, 0.3), (0.2, 0.1)
#: Levels of the end of which even the lowest lies above, by deviations of the scatter of levels, and of the noise from row to row.
LAST, SCATTER, NOISE = 4, 8.0, 3.0
#: Times its value before that a rate rises by, which explains the rise of a loss.
NEW_RATE = 1.5


def find(measured: Measured, p: Progress) -> Fact | None:
    """The fact, of a positive loss."""
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.loss))
    loss = s.loss[rows]
    if len(loss) < MIN_ROWS or not loss.min() > 0:
        return None
    level = block_medians(loss, BLOCKS)
    at = int(np.argmin(level))
    low, end, start = float(level[at]), float(level[-2:].mean()), max(p.start, float(level[0]))
    rise, lost = end / low - 1.0, (end - low) / max(start - low, 1e-300)
    if (
        at >= BLOCKS - LAST - 1
        or start <= low
        or not any(lost >= a and rise >= b for a, b in zip(LOST, RISE, strict=True))
    ):
        return None
    # The scatter of the levels before the rise, without their trend.
    bends = np.diff(level, 2)
    scatter = MAD_TO_SIGMA * float(np.median(np.abs(bends - np.median(bends)))) / float(np.sqrt(6.0))
    plain = float(level[-LAST:].min()) - low > max(SCATTER * scatter, NOISE * neighbour_noise(loss))
    if not plain or averages_over(measured) is not None:
        return None
    first = int(rows[at * len(loss) // BLOCKS])
    if _rate_rises(measured, first):
        return None
    step = int(s.step[first])
    return Fact(
        code="GL510",
        severity=Severity.WARNING,
        outcome="ended_worse",
        since_step=step,
        message=f"the loss was lowest near step {step:,}, at {figure(low)}, and does not come back: it ends at {figure(end)}, "
        f"{percent(rise)} above, having lost {percent(lost)} of what it had come down by",
        advice=f"compare the batches, and an evaluation, of a checkpoint from about step {step:,} with the last one: harder data, or "
        "something unlearned; if the latter, go on from there at a third of the learning rate",
        steps=(step,),
        evidence=(Evidence(label="end over the lowest level", value=end / low, threshold=1.0 + RISE[0], n=len(loss)),),
    )


def _rate_rises(measured: Measured, first: int) -> bool:
    """Whether the rate rises again after a row: a loss that rises with it does as planned."""
    rate = measured.signals.lr
    before, after = rate[max(first - 5, 0) : first + 1], rate[first:]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    return bool(len(before)) and bool(len(after)) and float(after.max()) > NEW_RATE * float(np.median(before))
