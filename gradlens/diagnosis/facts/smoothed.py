"""A loss that is a running mean: its noise lasts for many rows, so that slow rises and falls are noise.

Each row of an exponential mean adds a small share of one batch. Its changes are then as good as independent (their correlation from row to
row is near 0, that of single batches near -1/2), and its level wanders by many times what neighbouring rows differ by. It begins at
the loss of one batch, from which it takes the length of its memory to come to the level of all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.features.curves import rolling_level, thinned
from gradlens.diagnosis.features.progress import MAX_ROWS
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity
from gradlens.stats.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows without which nothing is told; correlation of neighbouring changes, and of those two and three rows apart, of a running mean;
#: deviations of its wander that a rise may have by chance, and those of a single batch that its first row may lie off. Our own choice.
MIN_ROWS, CHANGES, APART = 150, (-0.25, 0.12), 0.12
BY_CHANCE, FIRST_OFF = 6.0, 3.0
#: Memories of a running mean after which its first row is forgotten.
SETTLES = 5.0
#: Largest change over their usual size where the changes are those of averages: single events are none.
MAX_CHANGE = 12.0
#: What rises slowly, as the noise of a running mean does.
WANDERS: frozenset[Cause] = frozenset({"lr_too_high", "no_warmup", "unknown", "data_shift", "recurring_instability"})
_NAME = re.compile(r"(^|[^a-z])(avg|avr|average|mean|smooth(ed)?|running|ema|moving)([^a-z]|$)")


def find(measured: Measured) -> tuple[Fact, ...]:
    """A note where the loss is a running mean whose rises are within its wander."""
    loss = measured.signals.loss[np.isfinite(measured.signals.loss)]
    memory = None if measured.progress is None else averages_over(measured)
    if memory is None:
        return ()
    half = loss[len(loss) // 2 :]
    rows = np.arange(len(half), dtype=np.float64)
    rest = half - np.polyval(np.polyfit(rows, half, 1), rows)
    wander = MAD_TO_SIGMA * float(np.median(np.abs(rest - np.median(rest))))
    value = thinned(loss, MAX_ROWS)
    level = rolling_level(value, 5)
    begins = np.arange(len(level)) * (len(loss) / len(level)) < SETTLES * memory
    rise = level - np.minimum.accumulate(level)
    if not begins.all():
        # The first row is that of one batch: what comes after it settled rises from levels after it.
        rise[~begins] = level[~begins] - np.minimum.accumulate(level[~begins])
    off = FIRST_OFF * float(np.sqrt(2.0 * memory))
    allowed = wander * np.where(begins, BY_CHANCE + off, BY_CHANCE)
    settled = level if begins.all() else level[~begins]
    if wander <= 0 or (rise > allowed).any() or float(level[-1] - settled.min()) > BY_CHANCE * wander:
        return ()
    return (
        Fact(
            code="GL005",
            severity=Severity.NOTE,
            message=f"the loss is a running mean over about {memory:.0f} rows: rises of up to {figure(float(rise.max()))} are its noise",
            advice="log the loss of each step as well",
            doubts=WANDERS,
            evidence=(Evidence(label="rows that it averages", value=memory, n=len(loss)),),
        ),
    )


def averages_over(measured: Measured) -> float | None:
    """Over how many rows the loss is averaged, by its second half; None where it is not, or where too few rows tell."""
    loss = measured.signals.loss[np.isfinite(measured.signals.loss)]
    if len(loss) < MIN_ROWS:
        return None
    return memory_of(loss[len(loss) // 2 :], named=_NAME.search((measured.run.columns.loss or "").lower()) is not None)


def memory_of(loss: NDArray[np.float64], *, named: bool = False) -> float | None:
    """Over how many rows a loss, float64[n], is averaged exponentially; None where it is not, by the way its changes follow each other.

    `named` says that its name calls it a mean: changes then need not be those of averages in every respect.
    """
    change = np.diff(loss)
    size = float(np.median(np.abs(change)))
    if not size > 0:
        return None
    if not named and float(np.abs(change).max()) > MAX_CHANGE * size:
        return None
    change = np.clip(change, -6.0 * size, 6.0 * size)
    change = change - change.mean()
    correlation = [float(np.mean(change[lag:] * change[:-lag]) / np.mean(change**2)) for lag in (1, 2, 3)]
    if not CHANGES[0] < correlation[0] < CHANGES[1]:
        return None
    if not named and max(abs(correlation[1]), abs(correlation[2])) > APART:
        return None
    # A mean that keeps a share of 1 - a has changes that correlate by -a/2.
    return 1.0 / max(-2.0 * correlation[0], 1.0 / 50.0)
