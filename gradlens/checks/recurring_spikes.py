"""GL513: spikes of several rows come again and again, and recover."""

from __future__ import annotations

from typing import ClassVar

from gradlens.checks.base import FactCheck
from gradlens.reports.base import Cause


class RecurringSpikes(FactCheck):
    """Spikes of several rows come again and again, and recover.

    What it measures
    ----------------
    Three or more events of three rows and more in which loss and norm stand out together and from which the
    loss returns, and which of the two begins first.

    Why it matters
    --------------
    Where the norm leads, the update is to blame and not the batch: Adam's second moment is too slow for
    gradients that grow suddenly. A rise that has returned each time is no shift of the data.

    Threshold
    ---------
    Three events; the norm leads in three fifths of them. Where it does not, three events at three times the
    limits. Our own choice.

    When it is wrong
    ----------------
    Bad batches that follow each other.

    What to try
    -----------
    beta2 = 0.95, a lower rate, normalised queries and keys.

    References
    ----------
    Wortsman et al., Stable and low-precision training (2023). Molybog et al., A theory on Adam instability
    (2023).
    """

    code = "GL513"
    name = "recurring-spikes"
    cause: ClassVar[Cause | None] = "recurring_instability"
    needs = frozenset({"loss", "norm", "rows"})
    advice = "try beta2 = 0.95, or a lower rate"
