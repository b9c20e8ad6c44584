"""A first loss that is never regained: the first updates threw the run off, and it settled no lower than where it began.

The first row precedes every update (or all but a few), so it shows what an untrained model costs. A loss that the updates drive to
several times that, and that comes to rest at or above it, was harmed by them: it has learned nothing that it did not know by guessing.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts import guessing
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.smoothed import averages_over
from gradlens.diagnosis.features.curves import block_medians, neighbour_noise, rolling_level, thinned
from gradlens.diagnosis.features.progress import MAX_ROWS, Progress
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

#: Rows without which nothing is told, and the levels that must all lie where the run began, or above.
MIN_ROWS, BLOCKS = 60, 8
#: How many times its first loss a level in the first fifth reaches, and deviations of the noise of its logarithm, which a first batch
#: that was an easy one does not explain; the share of that level that the run ends at most at; how far the levels may lie below the
#: first loss; and the share of the rows up to twice that far that may be as low as it. Our own choice.
MIN_PEAK, MIN_NOISE, MAX_END, BELOW, AS_LOW = 2.0, 5.0, 0.8, 0.03, 0.05


def find(measured: Measured, p: Progress) -> Fact | None:
    """The fact, of a positive loss whose first rows are those of the training."""
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.loss))
    loss = s.loss[rows]
    if len(loss) < MIN_ROWS or not s.from_the_start or not loss.min() > 0:
        return None
    first = float(loss[0])
    smooth = rolling_level(thinned(loss, MAX_ROWS), 5)
    block = len(loss) // len(smooth)
    early = smooth[: max(len(smooth) // 5, 10)]
    at = int(np.argmax(early))
    peak = float(early[at])
    if np.log(peak / first) < max(np.log(MIN_PEAK), MIN_NOISE * neighbour_noise(np.log(loss))):
        return None
    until = max(2 * at * block, 10)
    if float(np.mean(loss[1:until] <= first)) > AS_LOW:
        return None  # the first batch was an easy one, as others after it
    if p.end > MAX_END * peak or block_medians(loss, BLOCKS).min() < (1.0 - BELOW) * first:
        return None
    if averages_over(measured) is not None:
        return None  # a running mean begins at the loss of one batch
    step = int(s.step[rows[at * block]])
    return Fact(
        code="GL511",
        severity=Severity.WARNING,
        outcome="stalled",
        otherwise="lr_too_high",
        since_step=int(s.step[rows[0]]),
        message=f"the first updates drove the loss from {figure(first)} to {figure(peak)} (step {step:,}), and it never came below "
        f"where it began: it ends at {figure(p.end)}",
        advice="repeat with a tenth of the learning rate, or with a warm-up; look at the scale of inputs and initial weights",
        rules_out=guessing.MOVES | {"recurring_instability"},
        steps=(step,),
        evidence=(
            Evidence(label="highest level over the first loss", value=peak / first, threshold=MIN_PEAK, n=len(loss)),
        ),
    )
