"""GL503: the loss ends well above its lowest level."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import of_descent
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity


class NoRecovery(Check):
    """The loss ends well above its lowest level.

    What it measures
    ----------------
    The last twentieth of the losses against the lowest smoothed level, as a share of the descent.

    Why it matters
    --------------
    A run that has lost part of its progress should be continued from an earlier checkpoint, whatever the cause.

    Threshold
    ---------
    A quarter of the descent. Our own choice.

    When it is wrong
    ----------------
    A data shift on purpose, a curriculum, or reinforcement learning, where the loss is not a measure of success.

    What to try
    -----------
    Go back to a checkpoint before the rise; PaLM rewound about 100 steps and skipped 200 to 500 batches.

    References
    ----------
    Chowdhery et al., PaLM (2022), section 5.1.
    """

    code = "GL503"
    name = "no-recovery"
    needs = frozenset({"loss", "rows"})
    advice = "go back to a checkpoint from before the rise"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note where progress is lost at the end."""
        p = case.progress
        # Where that is a fact of its own, it has been said.
        told = any(fact.outcome in {"ended_worse", "diverged", "nonfinite"} for fact in case.facts)
        if p is not None and not told and p.in_noise > 3 and p.kept < 0.75:
            yield self.finding(
                Severity.NOTE,
                f"the loss ends having lost {of_descent(1 - p.kept)}",
                Evidence(label="descent kept", value=p.kept, threshold=0.75),
            )
