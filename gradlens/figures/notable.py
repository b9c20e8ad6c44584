"""The steps to look at first, whatever the diagnosis."""

from __future__ import annotations

import numpy as np

from gradlens.reports.analysis import NotableStep
from gradlens.signals.axis import Signals

MAX_NOTABLE = 10


def notable_steps(signals: Signals) -> tuple[NotableStep, ...]:
    """The steps with the largest norms, infinite ones first, in order of step, with their loss.

    The ten largest norms of the run, and how many times the median of all finite norms each is: the steps to look at first,
    whatever the diagnosis. The loss beside it is that of the same step, None where none was logged.
    """
    s = signals
    rows = np.flatnonzero(s.has_norm)
    if len(rows) == 0:
        return ()
    size = np.where(np.isfinite(s.norm[rows]), s.norm[rows], -np.inf)
    size[np.isinf(s.norm[rows])] = np.inf
    if len(size) > MAX_NOTABLE:
        # Only what reaches the tenth largest has to be put in order.
        reach = size >= np.partition(size, -MAX_NOTABLE)[-MAX_NOTABLE]
        rows, size = rows[reach], size[reach]
    chosen = np.sort(rows[np.argsort(-size, kind="stable")[:MAX_NOTABLE]])
    with np.errstate(over="ignore"):
        finite = s.norm[np.isfinite(s.norm)]
        median = float(np.median(finite)) if len(finite) else float("nan")
    return tuple(
        NotableStep(
            step=int(s.step[row]),
            grad_norm=float(s.norm[row]),
            loss=float(s.loss[row]) if s.has_loss[row] else None,
            times_median=float(s.norm[row]) / median if median > 0 else None,
        )
        for row in chosen
    )
