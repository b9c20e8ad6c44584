"""Norms that fade to nothing while the loss of each batch is still another one: no minimum, but a model that no longer answers.

Where a loss comes to rest at a minimum, the mean of the gradients vanishes and those of single batches do not, since batches differ. Only
a fitted model, whose loss is nothing itself, or training on all data at once has none. Norms of a thousandth, beside a loss that is
still most of what it was and varies from batch to batch, are those of saturated or dead units: what is left of it no weight can change.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.features.curves import after_last, block_medians, neighbour_noise
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity

#: Rows without which nothing is told, share of the first norms that the last third has at most, and of the loss; share of its start that
#: the loss keeps at least, and noise of its logarithm from row to row that tells of batches that differ. Our own choice.
MIN_ROWS, FADED, OF_LOSS, KEPT, DIFFER = 40, 1e-3, 1e-3, 0.5, 5e-4
#: How sure that says that gradients vanish by themselves: a loss scale that collapsed, a penalty and dead units give the same norms.
SURE = 0.5
#: Times its lowest level of the second half that the norm ends at most at, unless that is nothing: it does not come back. Our own choice.
BACK = 3.0
#: Share of the descent that a loss may have risen by, or above its start, where no step threw it off.
NO_RISE = 0.15
#: What needs gradients.
NO_GRADIENTS: frozenset[Cause] = frozenset(
    {"bad_data", "batch_size_change", "l2_contamination", "exploding", "clip_too_tight"}
)


def find(measured: Measured) -> tuple[Fact, ...]:
    """At most one fact, of a positive loss with norms."""
    s, p = measured.signals, measured.progress
    rows = np.flatnonzero(np.isfinite(s.norm) & np.isfinite(s.loss))
    norm, loss = s.norm[rows], s.loss[rows]
    if p is None or len(rows) < MIN_ROWS or not norm.min() >= 0 or not loss.min() > 0:
        return ()
    third = len(rows) // 3
    first, last = float(np.median(norm[: max(len(norm) // 20, 5)])), float(np.median(norm[-third:]))
    level = float(np.median(loss[-third:]))
    if not last < min(FADED * first, OF_LOSS * level) or level < KEPT * p.start:
        return ()
    late = block_medians(norm[len(norm) // 2 :], 4)
    if neighbour_noise(np.log(loss[-third:])) < DIFFER or float(late[-1]) > BACK * float(late.min()) > 0:
        return ()
    since = int(s.step[rows[min(after_last(norm > FADED * first), len(rows) - 1)]])
    thrown = max(p.rebound, p.above_start) > NO_RISE
    return (
        Fact(
            code="GL502",
            severity=Severity.WARNING,
            cause="vanishing",
            confidence=SURE,
            outcome="stalled",
            since_step=since,
            message=f"the norm fades from {figure(first)} to {figure(last)} by step {since:,}, while the loss stays at {figure(level)} and "
            "varies from batch to batch: units are saturated or dead, and no weight changes what is left of the loss",
            advice="log the norms of single layers and the share of units that are 0 or at their limit; lower the rate, or scale the "
            "initial weights and inputs down",
            rules_out=NO_GRADIENTS if thrown else NO_GRADIENTS | {"lr_too_high", "no_warmup"},
            steps=(since,),
            evidence=(Evidence(label="last norms over the first", value=last / first, threshold=FADED, n=len(rows)),),
        ),
    )
