"""GL501: gradient norms explode."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gradlens.checks.base import CauseCheck
from gradlens.checks.ending import ending
from gradlens.diagnosis.case import Case
from gradlens.reports.base import Cause


class ExplodingNorm(CauseCheck):
    """Gradient norms explode.

    What it measures
    ----------------
    Whether the norm grows exponentially before the run dies, starts orders of magnitude above where it settles
    (the first norm of all, which no update has touched, above all), exceeds twenty times its median in many
    rows, or varies wildly while the loss does not; and whether the loss
    itself grows by orders of magnitude.

    Why it matters
    --------------
    Products of many Jacobians grow exponentially with depth or length. Steps then have the right direction at best
    and any length.

    Threshold
    ---------
    A rise to {grows_before_death.rise} times the level over the last rows; a start at {norm_starts_huge.above}
    times, or a first norm at {first_norm_huge.above} times where it settles; {norm_far_above.rows} of the rows
    above {norm_far_above.far} times; a spread of ln norm of {norm_wild.spread}. Our own limits.

    When it is wrong
    ----------------
    A rate that is too high ends the same way; from scalars alone the two are told apart only by what comes first.

    What to try
    -----------
    Clip at the usual level of the norm, check the initialisation (orthogonal or scaled), add normalisation layers.
    Per-layer norms show where it starts.

    References
    ----------
    Pascanu et al., On the difficulty of training recurrent neural networks (2013).
    """

    code = "GL501"
    name = "exploding-norm"
    cause: ClassVar[Cause | None] = "exploding"
    advice = "clip near the usual norm, check initialisation and normalisation, and log norms of single layers"

    def message(self, case: Case) -> str:
        """What grows."""
        n = case.norms
        dead = case.numerics.dead_from
        if dead is not None and n is not None and case.signs["grows_before_death"] > 0:
            return f"norms grow until the run dies at step {case.signals.step[min(dead, len(case) - 1)]:,}"
        if dead is not None:
            return ending(case)
        if n is not None and case.signs["norm_starts_huge"] > 0:
            return f"the norm starts {float(np.exp(min(n.start_over_rest, 700.0))):.3g} times above where it settles"
        if case.signs["loss_explodes"] > 0:
            return "loss and norm grow by orders of magnitude"
        return "the norm varies wildly from step to step"

    def advise(self, case: Case) -> str:
        """The layers that are logged tell where to look."""
        if case.has("layers"):
            return "clip near the usual norm, and check initialisation and normalisation of the layers that grow"
        return self.advice

    def fatal(self, case: Case) -> bool:
        """Dead."""
        return case.numerics.dead_from is not None
