"""A loss that explodes although its course means nothing: what grows a hundredfold for good is no matter of returns.

The loss of learned values grows with the returns of an agent, by a factor of some; that of an adversary sways. Neither grows by orders
of magnitude within some rows and ends there, or turns infinite.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.features.curves import neighbour_noise
from gradlens.diagnosis.measured import Measured
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

#: Rows before and after without which no growth is told, and times its usual size that a loss must end at. Our own choice.
MIN_ROWS, MIN_END, MIN_TIMES = 20, 3, 100.0
#: Times its usual size by which growth is dated.
BEGINS = 3.0


def find(measured: Measured) -> tuple[Fact, ...]:
    """An error where a loss that is no measure of progress ends a hundred times as large as it was, or infinite after growing."""
    s = measured.signals
    rows = np.flatnonzero(s.has_loss)
    size = np.abs(s.loss[rows])
    known = np.flatnonzero(np.isfinite(size))
    if measured.loss_descends or len(known) < MIN_ROWS + MIN_END:
        return ()
    value = size[known]
    usual = float(np.quantile(value[: max(len(value) * 2 // 3, MIN_ROWS)], 0.9))
    end = float(np.median(value[-MIN_END:]))
    # Losses that are 0 by construction at first grow by any factor: the noise that they come to have is their size.
    usual = max(usual, neighbour_noise(value))
    if not usual > 0 or not end > MIN_TIMES * usual:
        return ()
    below = np.flatnonzero(value <= BEGINS * usual)
    since = int(s.step[rows[known[min(int(below[-1]) + 1, len(known) - 1)]]])
    infinite = np.flatnonzero(~np.isfinite(size[known[-1] :])) + known[-1]
    ends = f", and is not finite at step {int(s.step[rows[infinite[0]]]):,}" if len(infinite) else ""
    return (
        Fact(
            code="GL510",
            severity=Severity.ERROR,
            outcome="diverged",
            since_step=since,
            message=f"the loss explodes from step {since:,} on: {measured.run.columns.loss} grows from about {usual:.2g} "
            f"to {end:.2g}{ends}",
            advice=f"go back to a checkpoint from before step {since:,}; look at the size of rewards, observations and "
            "value targets there, normalise or clip them, and lower the learning rate",
            steps=(since,),
            evidence=(Evidence(label="end over the usual size", value=end / usual, threshold=MIN_TIMES, n=len(known)),),
        ),
    )
