"""Batches that stand out of a loss whose norms are not logged, or not all the way.

With norms, a bad batch shows in both. Without them the loss has to show it alone: rows far beyond all noise, apart from every other row,
that cost a good part of what the whole descent gained, and after which the loss is back. A loss of heavy tails has rows at any height.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.features.curves import rolling_level
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted, figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity
from gradlens.stats.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows without which nothing is told, those of the start that are left out as a share, and those that a level stands for.
MIN_ROWS, START, WINDOW = 100, 0.05, 41
#: Deviations of the noise that a row rises by, times those of the highest row that is none, share of the level and of the descent that it
#: rises by, spikes that make a finding, and share of the rows that they make at most. Our own choice; a bad batch costs an eighth of the
#: descent or more (see `is_material`).
HIGH, APART, OF_LEVEL, OF_DESCENT, MIN_SPIKES, MAX_SHARE = 12.0, 2.0, 0.2, 0.12, 2, 0.06
#: Rows after a spike within which the loss is back, or the share of the run, and deviations that it is then within; share of the rows that
#: spikes and what is left of them make at most. Our own choice.
BACK, BACK_SHARE, CALM, MAX_LEFT = 4, 0.02, 4.0, 0.2
#: Share of the level that the noise is at least taken for.
MIN_NOISE = 1e-3
#: Rows between two spikes that are one.
GAP = 4
#: What a level that returns within rows is not.
NO_LEVEL: frozenset[Cause] = frozenset({"data_shift", "batch_size_change", "lr_too_high", "no_warmup"})


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact, of a positive loss without norms beside it."""
    s, p = measured.signals, measured.progress
    rows = np.flatnonzero(np.isfinite(s.loss))
    loss = s.loss[rows]
    if p is None or len(loss) < MIN_ROWS or np.isfinite(s.norm).any() or s.bad_loss.any() or not loss.min() > 0:
        return ()
    level = rolling_level(loss, WINDOW)
    above = loss - level
    # The noise may change with the level: that of the rows around, and no less than half of that of all.
    noise = MAD_TO_SIGMA * rolling_level(np.abs(above), 5 * WINDOW)
    noise = np.maximum(noise, 0.5 * MAD_TO_SIGMA * float(np.median(np.abs(above))))
    # What is printed with few digits has no noise between equal values.
    height = above / np.maximum(noise, MIN_NOISE * level)
    height[: int(START * len(loss)) + 1] = 0.0
    hot = (height > HIGH) & (above >= OF_LEVEL * level)
    within = max(BACK, int(BACK_SHARE * len(loss)))
    beside = _beside(hot, height, within)
    others = height[~hot & ~beside]
    if not hot.any() or float((hot | beside).mean()) > MAX_LEFT:
        return ()
    tops = _tops(height, np.flatnonzero(hot), within)
    back = all(_is_back(height, int(top), within) for top in tops)
    apart = float(height[tops].min()) >= APART * float(others.max(initial=0.0))
    costly = int((above[tops] >= OF_DESCENT * max(p.start - p.best, 0.0)).sum())
    if costly < MIN_SPIKES or len(tops) > MAX_SHARE * len(loss) or not back or not apart:
        return ()
    highest = int(tops[np.argmax(above[tops])])
    steps = tuple(int(s.step[rows[top]]) for top in sorted(tops, key=lambda top: -above[top]))
    return (
        Fact(
            code="GL301",
            severity=Severity.WARNING,
            otherwise="bad_data",
            message=f"in {counted(len(tops), 'place')} the loss jumps, to {figure(float(loss[highest]))} from about "
            f"{figure(float(level[highest]))} at most, and is back within rows: single batches, as far as a loss without norms can tell",
            advice="look at the examples of the listed steps, and log the value that clip_grad_norm_ returns: where the norm rises rows "
            "before the loss, it is the optimizer and not the data",
            rules_out=NO_LEVEL,
            steps=steps[:8],
            evidence=(
                Evidence(
                    label="lowest of these rises in deviations of the noise",
                    value=float(height[tops].min()), threshold=HIGH, n=len(loss),
                ),
            ),
        ),
    )  # fmt: skip


def _beside(hot: NDArray[np.bool_], height: NDArray[np.float64], within: int) -> NDArray[np.bool_]:
    """bool[n]: the row before one that is hot, and those after it until the loss is calm: what is left of a spike is no noise."""
    found = np.zeros(len(hot), dtype=bool)
    for row in np.flatnonzero(hot):
        calm = np.flatnonzero(height[row + 1 : row + 1 + within] < CALM)
        found[max(row - 1, 0) : row + 1 + (int(calm[0]) if len(calm) else within)] = True
    return found


def _tops(height: NDArray[np.float64], hot: NDArray[np.intp], within: int) -> NDArray[np.intp]:
    """The highest row of each group of neighbouring hot rows."""
    groups = np.split(hot, np.flatnonzero(np.diff(hot) > min(GAP, within)) + 1)
    return np.array([int(group[np.argmax(height[group])]) for group in groups])


def _is_back(height: NDArray[np.float64], top: int, within: int) -> bool:
    after = height[top + 1 : top + 1 + within]
    return bool(len(after)) and float(after.min()) < CALM
