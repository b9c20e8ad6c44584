"""Losses without bounds: one that falls below zero ever faster, and one that is larger than any loss of a sane set-up.

A log-likelihood may be negative, but it gains ever less as a fit gets better. What gains ever more is a sum that has no minimum: a
cross-entropy whose labels lie outside 0 to 1, a distance with the wrong sign, a reward that was never squashed. And squared errors above
1e15 are those of values above ten million: inputs or targets that nobody scaled, or weights that were thrown there.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.features.curves import block_medians
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity

#: Rows without which nothing is told, and levels that are looked at.
MIN_ROWS, BLOCKS = 24, 8
#: Times the size of its start that a loss ends below zero, and times its pace in the first half that it falls by in the second one. Our
#: own choice.
MIN_TIMES, MIN_FASTER = 30.0, 1.2
#: Losses above this one are of no sane set-up, and those that end below the second have come back to one.
ABSURD, SANE = 1e15, 1e4
#: Where nothing has a floor, nothing is stuck, and no batch is to blame.
OF_LEVELS: frozenset[Cause] = frozenset({
    "vanishing", "data_shift", "batch_size_change", "bad_data", "adam_beta2_lag", "clip_too_tight", "l2_contamination",
})  # fmt: skip


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact, of a loss that means something."""
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.loss))
    if len(rows) < MIN_ROWS // 2 or not measured.loss_descends or s.bad_loss.any():
        return ()
    fact = _without_floor(measured) or _absurd(measured)
    return () if fact is None else (fact,)


def _without_floor(measured: Measured) -> Fact | None:
    s = measured.signals
    loss = s.loss[np.isfinite(s.loss)]
    if len(loss) < MIN_ROWS:
        return None
    level = block_medians(loss, BLOCKS)
    start, end = float(np.median(loss[:3])), float(level[-1])
    half = BLOCKS // 2
    falls = bool((np.diff(level) < 0).all())
    pace = (level[half] - end) / max(start - level[half - 1], 1e-300)
    if not falls or not end < -MIN_TIMES * abs(start) or pace < MIN_FASTER:
        return None
    return Fact(
        code="GL510",
        severity=Severity.WARNING,
        outcome="diverged",
        since_step=int(s.step[0]),
        otherwise="unknown",
        rules_out=OF_LEVELS,
        message=f"the loss falls from {figure(start)} to {figure(end)}, ever faster: it has no lower bound, so a lower one says nothing",
        advice="check that labels lie between 0 and 1 where the loss is a cross-entropy, and the sign of its parts; a loss that can be "
        "learned has a floor",
        evidence=(
            Evidence(
                label="fall of the second half over that of the first",
                value=float(pace),
                threshold=MIN_FASTER,
                n=len(loss),
            ),
        ),
    )


def _absurd(measured: Measured) -> Fact | None:
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.loss))
    loss = s.loss[rows]
    high = np.flatnonzero(loss > ABSURD)
    end = float(np.median(loss[-3:]))
    if not len(high) or end < SANE:
        return None
    first = int(s.step[rows[high[0]]])
    return Fact(
        code="GL510",
        severity=Severity.WARNING,
        otherwise="lr_too_high",
        outcome="diverged",
        since_step=first,
        rules_out=OF_LEVELS,
        message=f"the loss is {figure(float(loss.max()))} at step {int(s.step[rows[int(np.argmax(loss))]]):,} and {figure(end)} at the "
        "end: inputs and targets of an ordinary size give no loss that large",
        advice="bring inputs and targets to mean 0 and deviation 1, and look at the loss of the first batch before any update; then a "
        "smaller learning rate",
        steps=(first,),
        evidence=(Evidence(label="highest loss", value=float(loss.max()), threshold=ABSURD, n=len(loss)),),
    )
