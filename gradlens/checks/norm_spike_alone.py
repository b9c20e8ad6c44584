"""GL508: single norms stand far above the rest while the loss is ordinary."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradlens.checks.base import Check, steps_at
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import counted, in_words
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity


class NormSpikeAlone(Check):
    """Single norms stand far above the rest while the loss is ordinary.

    What it measures
    ----------------
    Rows with norms more than ten times the local level and a loss within three deviations of its own.

    Why it matters
    --------------
    Healthy runs have them: one of our labelled ones has a step at 187 times the median. They need no action, only a
    threshold that catches them.

    Threshold
    ---------
    Ten times the level. Our own choice.

    When it is wrong
    ----------------
    If the loss rises within the next steps, the spike mattered.

    What to try
    -----------
    Keep clipping on; look at the batches if they come often.

    References
    ----------
    Molybog et al., A theory on Adam instability in large-scale machine learning (2023).
    """

    code = "GL508"
    name = "norm-spike-alone"
    needs = frozenset({"loss", "norm", "rows"})
    advice = "keep clipping on; nothing else is needed"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note for all of them."""
        with np.errstate(invalid="ignore"):
            high = (case.norm.value - case.norm.level > np.log(10.0)) & (np.abs(case.loss.z) < 3.0)
        rows = np.flatnonzero(high & (np.arange(len(case)) >= case.warmup_rows))
        if case.norm.logarithmic and len(rows):
            times = float(np.exp(min(float(np.max((case.norm.value - case.norm.level)[rows])), 700.0)))
            yield self.finding(
                Severity.NOTE,
                f"{counted(len(rows), 'norm')} far above the usual level, up to {in_words(times)} times, while the loss is ordinary",
                Evidence(label="largest norm over its level", value=times, threshold=10.0, n=len(rows)),
                steps=steps_at(case, rows.tolist()),
            )
