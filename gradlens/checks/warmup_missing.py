"""GL202: the rate starts at its peak and the first updates do damage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.signs.events import is_adaptive
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause
from gradlens.stats import adam


class WarmupMissing(CauseCheck):
    """The rate starts at its peak and the first updates do damage.

    What it measures
    ----------------
    Whether the first logged rate is the highest, whether the loss jumps far above its start within the first rows,
    and whether trouble follows.

    Why it matters
    --------------
    Adam's second moment is unreliable during its first steps, and the curvature at the start is often the highest
    of the run: full steps then throw the weights to a bad place from which training recovers slowly or never.

    Threshold
    ---------
    A single row of the first ten above the start by {overshoots_at_once.rise} of the descent and by
    {overshoots_at_once.in_noise} deviations of the noise there, higher than all that follows in the first half; at
    least half of the peak rate at the first row. Our own limits.

    When it is wrong
    ----------------
    Many runs start at their peak and are fine. Where the damage shows late, it cannot be told from a rate that is
    too high.

    What to try
    -----------
    Warm up over 2 / (1 - beta2) steps, 2000 at .999, or 1 to 10 % of the run.

    References
    ----------
    Ma and Yarats, On the adequacy of untuned warmup for adaptive optimization (2021). Gilmer et al., A loss
    curvature perspective on training instability (2021).
    """

    code = "GL202"
    name = "warmup-missing"
    cause: ClassVar[Cause | None] = "no_warmup"
    advice = "warm up over about 2 / (1 - beta2) steps or 1 to 10 % of the run"

    def message(self, case: Case) -> str:
        """What the first rows show."""
        value = case.signals.loss[np.isfinite(case.signals.loss)]
        early = value[: max(10, len(value) // 64)]
        if len(early) > 1 and early[1:].max() > early[0]:
            return f"the rate starts at its peak, and the loss goes from {early[0]:.3g} to {early[1:].max():.3g} within {len(early)} rows"
        return "the rate starts at its peak, and trouble follows"

    def facts(self, case: Case) -> Iterator[Evidence]:
        """The signs, and the warm-up that the configuration asks for."""
        yield from super().facts(case)
        beta2 = case.config.beta2
        if beta2 is not None and 0 <= beta2 < 1 and is_adaptive(case):
            yield Evidence(label="steps of warm-up for this beta2", value=adam.warmup_steps(beta2), unit="steps")
