"""GL002: the logged gradient norms still carry the loss scale."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.reports.analysis import Finding
from gradlens.reports.base import Severity


class NormBeforeUnscaling(Check):
    """The logged gradient norms still carry the loss scale.

    What it measures
    ----------------
    At each change of the loss scale, the medians of ln norm in the twelve rows before and after: their difference
    over the change of ln scale.

    Why it matters
    --------------
    Scaled norms are thousands of times too large and jump by factors of two. If clipping saw the same numbers, the
    threshold meant nothing.

    Threshold
    ---------
    A median slope of .7 or more over at least two changes. Unscaled norms give 0; the limit is our own.

    When it is wrong
    ----------------
    With one or two changes of the scale a jump of the norms may coincide by chance.

    What to try
    -----------
    Call scaler.unscale_(optimizer) before clipping and before the norm is logged.

    References
    ----------
    PyTorch automatic mixed precision examples, section on gradient clipping.
    """

    code = "GL002"
    name = "norm-before-unscaling"
    needs = frozenset({"norm"})
    advice = "call scaler.unscale_(optimizer) before clipping and before logging the norm"
    reference = "https://pytorch.org/docs/stable/notes/amp_examples.html"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one finding where the provenance is loss-scaled."""
        judged = case.provenance
        if judged.verdict == "loss_scaled":
            yield self.finding(Severity.NOTE, judged.reason, *judged.evidence)
