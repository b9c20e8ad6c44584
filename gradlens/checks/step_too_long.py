"""GL509: steps raise the loss of the very batch that they were made for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import percent
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Cause, Severity

#: Share of probed steps, and eta·h, from which steps are too long. 2 is theory, the share is our own choice.
MIN_WORSE, EDGE = 0.3, 2.0


class StepTooLong(Check):
    """Steps raise the loss of the very batch that they were made for.

    What it measures
    ----------------
    The loss of one batch just before and just after its own update, against what first order says (the inner product of
    gradient and update). The rest is curvature: 2(ΔL - g·Δ) / -g·Δ, the median of the steps that go downhill. For plain
    gradient descent that is the rate times the curvature along the step.

    Why it matters
    --------------
    Along a parabola a step ends lowest at 1, and higher than it began from 2 on. No data can do that: the batch is the
    same. It names the rate that would be safe, from the run itself.

    Threshold
    ---------
    More than 30 % of at least five probed steps that end higher, or a median from 2 on.

    When it is wrong
    ----------------
    Momentum moves along older gradients too, and training at the edge of stability crosses it now and then. A model that
    is not the same function twice (dropout from a generator of its own) compares two functions.

    What to try
    -----------
    Take the rate that is named, at the steps that were probed last; a longer warm-up if only early steps are too long.

    References
    ----------
    Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability (2021).
    """

    code = "GL509"
    name = "step-too-long"
    cause: ClassVar[Cause | None] = "lr_too_high"
    needs = frozenset({"probes"})
    advice = "lower the rate to the one named, or lengthen the warm-up"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one finding where the median step is too long, or many are."""
        r = case.recorded
        beyond = np.isfinite(r.edge) and r.edge >= EDGE
        if not beyond and not r.own_batch_worse >= MIN_WORSE:
            return
        safe = f"; along the same curves a rate of {r.safe_rate:.2g} would end lowest" if r.safe_rate > 0 else ""
        yield self.finding(
            Severity.WARNING,
            f"{percent(r.own_batch_worse)} of {r.n_probes} probed steps raise the loss of their own batch{safe}",
            Evidence(
                label="probed steps that end higher than they began",
                value=round(r.own_batch_worse, 3),
                threshold=MIN_WORSE,
            ),
            Evidence(
                label="rate times curvature along the step, median", value=round(float(r.edge), 3), threshold=EDGE
            ),
        )
