"""A loss that explodes although its course means nothing: what grows a hundredfold for good is no matter of returns.

The loss of learned values grows with the returns of an agent, by a factor of some; that of an adversary sways. Neither grows by orders
of magnitude within some rows and ends there, or turns infinite.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.features.curves import after_last, neighbour_noise
from gradlens.diagnosis.measured import Measured
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Severity

#: Rows before and after without which no growth is told, and times its usual size that a loss must end at. Our own choice.
MIN_ROWS, MIN_END, MIN_TIMES = 10, 3, 100.0
#: The same over the first rows, for losses of adversaries and without a sign, whose size is at least the second number.
MIN_FROM_START, MIN_SIZE = 1000.0, 1.0
UNBOUNDED = frozenset({"adversarial", "signless"})
#: Rows of norms without which no level is told.
NORM_ROWS = 20
#: Times its usual size by which growth is dated.
BEGINS = 3.0
#: Times its level that a norm must end at, and at which it leaves it. Our own choice.
MIN_NORM, LEAVES = 5.0, 2.0


def find(measured: Measured) -> tuple[Fact, ...]:
    """What grows in a run whose loss is not a measure of progress."""
    return (*_loss(measured), *_norm(measured)) if not measured.loss_descends else ()


def _norm(measured: Measured) -> tuple[Fact, ...]:
    """A note where the norm leaves its level within some rows and stays far above it: a policy that moves, or a reward that is found."""
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.norm) & (s.norm > 0))
    norm = s.norm[rows]
    if len(norm) < NORM_ROWS:
        return ()
    level, end = float(np.median(norm[: len(norm) // 2])), float(np.median(norm[-(len(norm) // 5) :]))
    # More than half of the first half is no more than twice its median.
    at = int(np.flatnonzero(norm <= LEAVES * level)[-1]) + 1
    if end < MIN_NORM * level:
        return ()
    far = np.flatnonzero(norm[at:] >= MIN_NORM * level)
    if not len(far) or far[0] > max(len(norm) // 10, 5):
        return ()
    since = int(s.step[rows[at]])
    return (
        Fact(
            code="GL501",
            severity=Severity.NOTE,
            message=f"the norm grows from about {level:.2g} to {end:.2g} from step {since:,} on, and stays there",
            advice=f"look at reward, entropy and KL around step {since:,}",
            steps=(since,),
            evidence=(Evidence(label="end over the level of the first half", value=end / level, threshold=MIN_NORM),),
        ),
    )


def _loss(measured: Measured) -> tuple[Fact, ...]:
    """An error where a loss that is not a measure of progress ends a hundred times as large as it was, or infinite after growing."""
    s = measured.signals
    rows = np.flatnonzero(s.has_loss)
    size = np.abs(s.loss[rows])
    known = np.flatnonzero(np.isfinite(size))
    if len(known) < MIN_ROWS + MIN_END:
        return ()
    value = size[known]
    usual = float(np.quantile(value[: max(len(value) * 2 // 3, MIN_ROWS)], 0.9))
    end = float(np.median(value[-MIN_END:]))
    # Losses that are 0 by construction at first grow by any factor: the noise that they come to have is their size.
    usual = max(usual, neighbour_noise(value))
    if not end > MIN_TIMES * usual and measured.loss_kind in UNBOUNDED:
        # A critic whose weights run away from the first rows on has no usual size but the one it began with.
        began = max(float(np.median(value[:MIN_ROWS])), float(value[:MIN_ROWS].std()))
        usual = began if end > MIN_FROM_START * max(began, MIN_SIZE) else usual
    if not usual > 0 or not end > MIN_TIMES * usual:
        return ()
    since = int(s.step[rows[known[after_last(value <= BEGINS * usual)]]])
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
