"""GL103: more than a tenth of the steps is clipped: a prompt to look, not a verdict."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import percent
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity


class HighClipRate(Check):
    """More than a tenth of the steps is clipped: a prompt to look, not a verdict.

    What it measures
    ----------------
    The share of finite norms strictly above the threshold.

    Why it matters
    --------------
    Clipping that engages often is part of the optimizer rather than a safety net. Under Adam a constant rescaling
    cancels and nothing may be wrong; under SGD it cuts the learning rate by C / norm.

    Threshold
    ---------
    10 %, the common rule of thumb. The Google tuning playbook starts at the 90th percentile, which clips 10 % by
    construction, and calls more than 50 % extremely aggressive.

    When it is wrong
    ----------------
    Often: healthy runs with 15 to 100 % clipped steps are common under AdamW. It is therefore only ever a note.

    What to try
    -----------
    `gradlens suggest-threshold` shows what other thresholds would clip.

    References
    ----------
    Godbole et al., Deep Learning Tuning Playbook (2023). Zhang et al., Why gradient clipping accelerates training
    (2020).
    """

    code = "GL103"
    name = "high-clip-rate"
    needs = frozenset({"norm", "rows", "threshold", "trusted_norm"})
    advice = "compare thresholds with `gradlens suggest-threshold`"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note where the clip rate exceeds 10 %."""
        if case.clipped is None or case.threshold is None:
            return
        rate = case.clipped.reach
        if rate > 0.10:
            yield self.finding(
                Severity.NOTE,
                f"{percent(rate)} of the norms exceed {case.threshold:g}",
                Evidence(label="clip rate", value=rate, threshold=0.10, n=len(case.finite_norm)),
            )
