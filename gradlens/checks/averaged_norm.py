"""GL004: the gradient norm is an average over several steps."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.reports.analysis import Finding
from gradlens.reports.base import Severity


class AveragedNorm(Check):
    """The gradient norm is an average over several steps.

    What it measures
    ----------------
    What is known of the format: fairseq averages between log lines, verl over mini-batches, BEiT and its kin over
    an epoch.

    Why it matters
    --------------
    An average hides single spikes and understates the clip rate: with a mean below the threshold many steps may
    still be clipped.

    Threshold
    ---------
    None: the format decides.

    When it is wrong
    ----------------
    Trainers can be configured otherwise; the reader goes by the format's usual behaviour.

    What to try
    -----------
    Log every step, or the maximum and the clipped fraction beside the mean.

    References
    ----------
    fairseq logging/meters.py; verl actor; BEiT utils.py.
    """

    code = "GL004"
    name = "averaged-norm"
    needs = frozenset({"norm"})
    advice = "log the maximum norm and the clipped fraction beside the mean"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note where the norm is an average."""
        if case.provenance.averaged:
            yield self.finding(
                Severity.NOTE, "the norms are averages over several steps: spikes and clip rate are understated"
            )
