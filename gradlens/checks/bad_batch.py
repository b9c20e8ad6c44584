"""GL301: single batches hit loss and norm at the same step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import counted
from gradlens.reports.base import Cause


class BadBatch(CauseCheck):
    """Single batches hit loss and norm at the same step.

    What it measures
    ----------------
    Rows in which the loss stands 5 and the norm 3 local deviations above their centred medians, alone, with the
    loss back within two rows; and whether these rows stand apart from the tail of all others. A bad batch is
    visible where it was met: loss and norm of one step come from the same batch, before the update. Where no norm is
    logged, two rows or more of the loss alone, 12 deviations above all noise and apart from every other row.

    Why it matters
    --------------
    Corrupt, mislabelled or wrongly scaled examples waste steps, and without clipping each one moves the weights by
    many times the usual update.

    Threshold
    ---------
    {isolated_events.loss_z:g} and {isolated_events.norm_z:g} deviations as in the labels of our runs, or 8 and
    1.8 where the norm saturates; these passed {isolated_events.strength} times and a gap of {events_apart.gap}
    times between neighbours grade the signs. Where the loss has come down to a tenth of its start, an event must
    also rise by 12 % of the descent: smaller rises are the noise of a loss that is practically zero.

    When it is wrong
    ----------------
    Healthy runs spike too, mostly in the norm alone: those are not counted. PaLM found that the same batches did
    not spike from an earlier checkpoint, so a batch is a suspect, not a culprit.

    What to try
    -----------
    Print the examples of the listed steps; replay one of them from the checkpoint before it. Keep a threshold near
    the 99th percentile.

    References
    ----------
    Chowdhery et al., PaLM (2022), section 5.1.
    """

    code = "GL301"
    name = "bad-batch"
    cause: ClassVar[Cause | None] = "bad_data"
    advice = "look at the examples of the listed steps, and replay one from the checkpoint before"

    def message(self, case: Case) -> str:
        """How many events, how strong, and the longest stretch of them."""
        longest = max(case.bursts, key=lambda e: e.rows, default=None)
        if longest is not None and longest.rows > max((e.rows for e in case.events), default=0):
            step = int(case.signals.step[longest.first])
            return f"{longest.rows} neighbouring rows from step {step:,} on hit loss and norm together, and the loss returns"
        if not case.events:
            return "the loss rises for a few rows and returns"
        strongest = max(case.events, key=lambda e: e.norm_ratio)
        times = f"up to {strongest.norm_ratio:.2g} times its usual level" if strongest.norm_ratio > 1.05 else "a little"
        where = f"in {counted(len(case.events), 'step' if case.has('steps') else 'row')}"
        back = ", both back at once" if all(e.isolated for e in case.events) else ""
        return f"{where} loss and norm jump together, the loss to {_height(case)} and the norm {times}{back}"

    def rows(self, case: Case) -> Iterable[int]:
        """The events and stretches, strongest first."""
        return dict.fromkeys(e.first for e in sorted((*case.events, *case.bursts), key=lambda e: -e.strength))


def _height(case: Case) -> str:
    """The losses at the top of the events: one, or from lowest to highest."""
    tops = [np.nanmax(case.signals.loss[e.first : e.last + 1]) for e in case.events]
    low, high = f"{min(tops):.3g}", f"{max(tops):.3g}"
    return low if low == high else f"{low}–{high}"
