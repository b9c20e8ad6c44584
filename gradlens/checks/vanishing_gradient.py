"""GL502: the loss does not move."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import percent
from gradlens.reports.base import Cause


class VanishingGradient(CauseCheck):
    """The loss does not move.

    What it measures
    ----------------
    The descent of the loss as a share of where it began, less what chance would give; where they are logged, the
    norms of the lowest third of the layers against those of the highest. And norms that fade to a thousandth while the
    loss keeps half of its start and varies from batch to batch.

    Why it matters
    --------------
    Saturated units or a deep chain without shortcuts pass no gradient back: only the last layer learns, and it
    learns the base rate.

    Threshold
    ---------
    A descent of less than {never_learned.descent} of the start, or norms of the layers {layers_fade.apart} times
    apart. Our own limits.

    When it is wrong
    ----------------
    Runs that learn late look like this until they do. Tasks with much irreducible noise have little to gain, and a
    rate that is far too high or too low also keeps the loss where it is. The total norm need not be small, since
    the last layer still has its gradient.

    What to try
    -----------
    Log norms of single layers: a fall by orders of magnitude from last to first proves it. Then try residual
    connections, normalisation, another activation or initialisation.

    References
    ----------
    Hochreiter (1991). Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks
    (2010).
    """

    code = "GL502"
    name = "vanishing-gradient"
    cause: ClassVar[Cause | None] = "vanishing"
    advice = "log norms of single layers; try normalisation, residual connections or another initialisation"

    def message(self, case: Case) -> str:
        """How little the loss moved."""
        p = case.progress
        if p is None or np.isnan(p.relative):
            return "the loss hardly moves"
        return f"the loss comes down by {percent(max(p.relative, 0.0), 1)} of its start in {len(case):,} rows"
