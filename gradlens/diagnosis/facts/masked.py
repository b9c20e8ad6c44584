"""Losses of exactly 0 among others that are far from it: batches that hold nothing to learn from.

The mean loss of a batch varies from one to the next without a gap. A margin that more and more examples keep gives zeros, too, but losses
near zero beside them, and more of them the longer it is trained; and so does rounding, of a loss of a few hundredths. Zeros from the first
rows on, with nothing between them and the losses of ordinary batches, are batches whose labels are all masked (truncated before the answer,
or -100 throughout), or steps that were skipped.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import OF_BATCHES, Fact
from gradlens.diagnosis.features.curves import rounding_step
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted, figure, percent
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity

#: Rows without which nothing is told, share of them that are 0, and the share of that share in the first and in the last quarter at least.
#: Our own choice.
MIN_ROWS, MIN_SHARE, EVENLY = 40, 0.05, 0.4
#: Share of the level around it below which no loss of an ordinary batch lies. Our own choice.
GAP = 0.2
#: Steps of rounding below which a loss that is printed as 0 may be a small one. Our own choice.
MIN_STEPS = 20.0
#: What no batch without labels shows.
OF_COURSE: frozenset[Cause] = OF_BATCHES | {"data_shift", "batch_size_change", "vanishing", "lr_too_high", "no_warmup"}


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact, of a loss that means something."""
    s = measured.signals
    rows = np.flatnonzero(np.isfinite(s.loss))
    loss = s.loss[rows]
    if len(loss) < MIN_ROWS or not measured.loss_descends or loss.min() < 0:
        return ()
    zero = loss == 0
    share = float(zero.mean())
    first, *_, last = (float(part.mean()) for part in np.array_split(zero, 4))
    others = loss[~zero]
    # A loss that is learned to 0 has its others at the beginning.
    if not MIN_SHARE <= share < 1.0 or min(first, last) < EVENLY * share or 1.0 - last < EVENLY * (1.0 - share):
        return ()
    if others.min() < MIN_STEPS * rounding_step(loss):
        return ()
    # The level of ten neighbours, without the zeros between them.
    level = np.array([float(np.median(others[max(at - 5, 0) : at + 5])) for at in range(len(others))])
    if bool((others < GAP * level).any()):
        return ()
    norm = s.norm[rows[zero]]
    norm = norm[np.isfinite(norm)]
    too = ", and so is the norm there" if len(norm) and not norm.any() else ""
    return (
        Fact(
            code="GL514",
            severity=Severity.WARNING,
            otherwise="not_learning",
            message=f"the loss is exactly 0 in {counted(int(zero.sum()), 'row')} ({percent(share)}) throughout the run{too}, and never "
            f"below {figure(float(others.min()))} in any other: batches without a label to learn from, or steps that were skipped",
            advice="count the labels of each batch that are not masked (-100): a prompt that fills the whole length leaves none; drop such "
            "examples, or divide by the number of labels over all batches",
            rules_out=OF_COURSE,
            steps=tuple(int(step) for step in s.step[rows[zero]][:8]),
            evidence=(Evidence(label="share of the losses that are 0", value=share, threshold=MIN_SHARE, n=len(loss)),),
        ),
    )
