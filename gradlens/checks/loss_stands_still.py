"""GL511: the loss does not come down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import percent
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity


class LossStandsStill(Check):
    """The loss does not come down.

    What it measures
    ----------------
    Whether the loss stays within half a percent of ln K, the level of guessing among K classes, or within its
    own noise of where it began; and, beside a loss that stays, whether an accuracy is that of guessing or never changes, whether
    gradients add up because nothing clears them, and whether thirty epochs or more brought nothing; or whether it comes down
    by less than {never_learned.descent} of its start, and no norm shows why.

    Why it matters
    --------------
    At ln K nothing was learned, nor where a model did not come to know data by heart that it saw thirty times. Elsewhere a model that
    was trained before may simply have little left to learn, which is a note.

    Threshold
    ---------
    Half a percent for two to ten classes and for usual numbers of classes and words beyond. Our own choice.

    When it is wrong
    ----------------
    A task that is as hard as guessing; a linear model that fits as well as it can after its first epoch.

    What to try
    -----------
    Try to overfit ten examples.

    References
    ----------
    Karpathy, A recipe for training neural networks (2019).
    """

    code = "GL511"
    name = "loss-stands-still"
    needs = frozenset({"loss", "rows"})
    advice = "try to overfit ten examples"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one finding where the loss never came down and nothing shows why; the engine reports what facts say."""
        told = any(fact.code == self.code and fact.severity.rank > 0 for fact in case.facts)
        if case.nameless != "vanishing" or told:
            return
        p = case.progress
        by = (
            ""
            if p is None or np.isnan(p.relative)
            else f" by more than {percent(max(p.relative, 0.0), 1)} of its start"
        )
        found = self.finding(
            Severity.WARNING,
            f"the loss does not come down{by} in {len(case):,} rows, and no column shows why",
            Evidence(label="confidence that it never came down", value=case.beliefs.of("vanishing")),
        )
        yield replace(found, cause="unknown")
