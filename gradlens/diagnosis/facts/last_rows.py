"""A run whose last rows leave its level for one far above, one after the other: it blows up, and the log ends before more shows.

One row may be a bad batch, or the small one at the end of an epoch. Several in a row that lie beyond all noise, up to the last, are none:
what is logged ends where somebody, or the trainer, stopped it.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import OF_BATCHES, Fact
from gradlens.diagnosis.features.curves import neighbour_noise
from gradlens.diagnosis.features.progress import Progress
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted, figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

#: Rows without which nothing is told, rows at the end that must all lie far above, share of the rows that they make at most (beyond it, the
#: level has changed), and how far above: deviations of the noise of ln loss, and times the level. Our own choice.
MIN_ROWS, MIN_LAST, MAX_SHARE, HIGH, TIMES = 60, 4, 0.1, 10.0, 1.5
#: Share of the highest of them that the last one has at least.
NEARLY = 0.7
#: Times its level that the norm ends at where it explodes with the loss.
EXPLODES = 5.0


def find(measured: Measured, p: Progress) -> Fact | None:
    """The fact, of a positive loss that came down before."""
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.loss))
    loss = s.loss[rows]
    n = len(loss)
    if n < MIN_ROWS or not loss.min() > 0 or not p.start > 0:
        return None
    before = np.log(loss[-max(n // 3, 30) : -max(int(MAX_SHARE * n), MIN_LAST)])
    limit = float(np.median(before)) + max(HIGH * neighbour_noise(before), float(np.log(TIMES)))
    last = n - 1 - int(np.flatnonzero(np.log(loss) <= limit)[-1])
    if not MIN_LAST <= last <= max(MAX_SHARE * n, MIN_LAST) or float(before.max()) > limit:
        return None
    level, end = float(np.exp(np.median(before))), float(loss[-1])
    if end < NEARLY * float(loss[-last:].max()):
        return None  # on its way back
    since = int(s.step[rows[n - last]])
    norm, usual = s.norm[rows[-last:]], s.norm[rows[:-last]]
    norm, usual = norm[np.isfinite(norm)], usual[np.isfinite(usual)]
    explodes = bool(len(norm)) and bool(len(usual)) and float(norm.max()) > EXPLODES * float(np.median(usual))
    too = (
        f"; the norm goes to {figure(float(norm.max()))} from about {figure(float(np.median(usual)))}"
        if explodes
        else ""
    )
    return Fact(
        code="GL510",
        severity=Severity.WARNING,
        outcome="ended_worse",
        since_step=since,
        otherwise="exploding" if explodes else "lr_too_high",
        message=f"in its last {counted(last, 'row')} the loss climbs from about {figure(level)} to {figure(end)}{too}: the run ends while "
        "it blows up",
        advice=f"go back to a checkpoint from before step {since:,} and continue with a third of the learning rate",
        rules_out=OF_BATCHES,
        steps=(since,),
        evidence=(Evidence(label="last loss over its level", value=end / level, threshold=TIMES, n=n),),
    )
