"""What a loss of few rows shows all the same: lost again for good, or growing by far more than its noise to the end.

Below thirty rows no course is measured, but a level that is left for good by many times the noise needs no more. The noise is that of
neighbours before the rise, so that a loss that varies from row to row by as much tells nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.facts.course import TIMES_START
from gradlens.diagnosis.features.curves import neighbour_noise
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity
from gradlens.stats.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows without which nothing is told, and of a level; share of the descent that is lost again; deviations of the noise that the descent
#: and the rise must have; share of the lowest level that the rise makes at least. Our own choice.
MIN_ROWS, LEVEL, LOST, CLEAR, MIN_RISE = 10, 3, 0.5, 8.0, 0.25
#: Times the way that a loss wanders by chance.
WANDER = 5.0


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact about ten to thirty rows whose loss is positive and means something."""
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.loss))
    loss = s.loss[rows]
    if measured.progress is not None or len(loss) < MIN_ROWS or not measured.loss_descends:
        return ()
    if not (loss > 0).all() or s.bad_loss.any():
        return ()
    level = np.median(np.lib.stride_tricks.sliding_window_view(loss, LEVEL), axis=1)
    at = int(np.argmin(level))
    low, end = float(level[at]), float(level[-1])
    since = _leaves(loss, at, float(np.sqrt(low * end)))
    noise = max(_noise(loss[:since]), _noise(loss[since:]))
    if (
        end - low < CLEAR * noise
        or end - low < max(MIN_RISE * low, WANDER * _wander(loss, at))
        or len(loss) - since < LEVEL
    ):
        return ()
    start = float(loss[0])
    if end - low < LOST * (start - low):
        return ()
    grows = end > TIMES_START * start
    step = int(s.step[rows[since]])
    fell = f"falls from {figure(start)} to {figure(low)}" if start > low + noise else f"begins at {figure(start)}"
    return (
        Fact(
            code="GL510",
            severity=Severity.ERROR if grows else Severity.WARNING,
            outcome="diverged" if grows else "ended_worse",
            since_step=step,
            otherwise="lr_too_high" if grows else "unknown",
            message=f"the loss {fell} and ends at {figure(end)}: it rises from about step {step:,} on and does not come back",
            advice=f"go back to a checkpoint from before step {step:,} and continue with a third of the learning rate",
            steps=(step,),
            evidence=(
                Evidence(
                    label="rise in deviations of the noise",
                    value=(end - low) / max(noise, 1e-300),
                    threshold=CLEAR,
                    n=len(loss),
                ),
            ),
        ),
    )


def _wander(loss: NDArray[np.float64], at: int) -> float:
    """How far a loss wanders from a row to the end where each change is by chance, as that of a smoothed loss: a drift is left out."""
    change = np.diff(loss)
    return float(MAD_TO_SIGMA * np.median(np.abs(change - np.median(change))) * np.sqrt(len(loss) - at))


def _leaves(loss: NDArray[np.float64], at: int, halfway: float) -> int:
    """The row from which on the loss stays above a level that lies halfway up, in ratios."""
    below = np.flatnonzero(loss[at:] < halfway)
    return at + (int(below[-1]) + 1 if len(below) else 0)


def _noise(loss: NDArray[np.float64]) -> float:
    """The noise of one part: of its second differences, which leave out a trend."""
    if len(loss) < LEVEL + 2:
        return 0.0
    bends = MAD_TO_SIGMA * float(np.median(np.abs(np.diff(loss, 2)))) / float(np.sqrt(6.0))
    return float(max(bends, 0.1 * neighbour_noise(loss), 1e-12 * loss.max()))
