"""GL201: the learning rate is too high."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gradlens.checks.base import CauseCheck
from gradlens.checks.ending import ending
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.features.progress import Progress
from gradlens.diagnosis.words import figure, of_descent, percent
from gradlens.reports.base import Cause

#: Deviations of the noise between rows below which a descent is nothing to measure a climb by. Our own choice.
CLEAR_DESCENT = 3.0
#: Descents by which a climb has lost all of one, and by which it passes the start by far.
NEARLY_ALL, FAR_ABOVE_START = 0.9, 1.3
#: Grade below which a sign is there, but faintly. Our own choice.
FAINTLY = 0.5


class LearningRateTooHigh(CauseCheck):
    """The learning rate is too high.

    What it measures
    ----------------
    Whether the loss climbs again while the rate is high, how much of the descent is lost and for how long; whether
    it drops fast at small rates, stalls at high ones and falls as the rate decays; whether it is stuck after an
    early drop, spiky everywhere, or ends in NaN. Whether the first updates multiply loss and norm: the first row is
    measured before any update, so what comes right after it is the work of the rate. Whether loss and norm drop within
    the first tenth to levels that they never leave, far from zero.

    Why it matters
    --------------
    Above the edge of stability each step overshoots. The run ends worse than it could, or not at all.

    Threshold
    ---------
    Grades run from {climbs_at_high_rate.rebound} of the descent for a climb, from {progress_lost.kept} kept for
    lost progress, from {blown_up_by_updates.norm} times the first norm with {first_loss_rise.rise} times the first
    loss for a blow; their weights were learned. The limits are ours; that divergence sets in where curvature passes
    2 / rate is theory.

    When it is wrong
    ----------------
    Mild cases look like healthy runs: nothing in the loss tells that a lower rate would have ended lower. A tight
    threshold, a data shift or dying units can imitate a stuck run.

    What to try
    -----------
    Repeat with a third of the rate. Log the update-to-weight ratio: about 1e-3 is usual.

    References
    ----------
    Cohen et al., Gradient descent on neural networks typically occurs at the edge of stability (2021). Wortsman et
    al., Small-scale proxies for large-scale transformer training instabilities (2023).
    """

    code = "GL201"
    name = "learning-rate-too-high"
    cause: ClassVar[Cause | None] = "lr_too_high"
    advice = "repeat with a third of the learning rate, or a longer warm-up"

    def message(self, case: Case) -> str:
        """How the loss behaved under the rate."""
        p = case.progress
        if case.numerics.dead_from is not None:
            return ending(case)
        if p is None:
            return _range(case)
        if p.rebound > 0.1:
            row = min(int(p.rebound_at * len(case)), len(case) - 1)
            where = int(case.signals.step[row])
            if p.in_noise < CLEAR_DESCENT and p.start > 0:
                top = float(np.nanmax(np.where(np.isfinite(case.signals.loss), case.signals.loss, -np.inf)))
                return f"the loss rises from {figure(p.start)} to {figure(top)}, with hardly a descent before, and ends at {figure(p.end)}"
            return f"the loss climbs{climb(p)} while the rate is high, worst near step {where:,}"
        if p.drop_as_rate_falls > 0.1:
            part = "all" if p.drop_as_rate_falls >= 1.0 else f"{percent(p.drop_as_rate_falls)}"
            return f"{part} of the descent comes only as the rate decays"
        return self._strongest(case)

    def _strongest(self, case: Case) -> str:
        """The sign that speaks for it most."""
        shown = max(self.facts(case), key=lambda one: float(one.value or 0.0), default=None)
        if shown is None:
            return "the loss behaves at this rate as with one that is too high"
        return f"{'a faint sign: ' if float(shown.value or 0.0) < FAINTLY else ''}{shown.label}"

    def fatal(self, case: Case) -> bool:
        """Dead, or nothing kept."""
        return case.numerics.dead_from is not None or case.signs["progress_lost"] >= 1.0


def _range(case: Case) -> str:
    """Between which values a loss of few rows went, and where it began."""
    loss = case.signals.loss[np.isfinite(case.signals.loss)]
    if not len(loss):
        return "the loss is unstable"
    return (
        f"in {len(loss):,} rows the loss went between {loss.min():.3g} and {loss.max():.3g}; it began at {loss[0]:.3g}"
    )


def climb(p: Progress) -> str:
    """How far the loss climbs, against its descent; against its noise where there is hardly a descent to measure by."""
    if p.in_noise < CLEAR_DESCENT:
        # A rebound is measured in descents of at least two deviations.
        before = "with hardly a descent before" if p.in_noise >= 0.1 else "with no descent before"
        return f" by {p.rebound * max(p.in_noise, 2.0):.2g} times its noise from row to row, {before}"
    if p.rebound > NEARLY_ALL:
        return " back to where it began" if p.rebound <= FAR_ABOVE_START else " far above where it began"
    return f" again by {of_descent(p.rebound)}"
