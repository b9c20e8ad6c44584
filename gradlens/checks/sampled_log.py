"""GL005: the log keeps only some of the steps."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import percent
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity


class SampledLog(Check):
    """The log keeps only some of the steps.

    What it measures
    ----------------
    The usual distance between rows, and the share of distances that differ from it.

    Why it matters
    --------------
    Spikes between the rows are lost, leads shorter than the distance cannot be seen, and an irregular sample (W&B
    and TensorBoard downloads) may have dropped what matters.

    Threshold
    ---------
    A distance of more than one step; irregular where more than 10 % of the distances differ. Our own choice.

    When it is wrong
    ----------------
    Frameworks that log the mean of the loss and the last norm mix two time scales in one row.

    What to try
    -----------
    Log every step: two numbers per step cost nothing. Read the original files rather than a sampled download.

    References
    ----------
    Documentation of wandb.Api.Run.history and of TensorBoard's --samples_per_plugin.
    """

    code = "GL005"
    name = "sampled-log"
    advice = "log every step, or read the original files rather than a sampled download"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note where rows are more than a step apart."""
        interval = case.signals.log_interval
        if interval is None:
            return
        if interval > 1:
            yield self.finding(
                Severity.NOTE,
                f"one row every {interval:g} steps: what happens in between is not in the log",
                Evidence(label="steps between rows", value=interval, threshold=1.0, n=len(case)),
            )
        elif case.signals.irregular > 0.10:
            yield self.finding(
                Severity.NOTE,
                f"{percent(case.signals.irregular)} of the rows are irregularly spaced: this looks like a sample of the log",
                Evidence(label="irregular distances", value=case.signals.irregular, threshold=0.10, n=len(case)),
            )
