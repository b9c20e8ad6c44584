"""GL302: neighbouring batches are bad for a while."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.checks.base import Check, steps_at
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import counted
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity


class BadBatchBurst(Check):
    """Neighbouring batches are bad for a while.

    What it measures
    ----------------
    Events of three rows or more in which loss and norm stand out together and after which the loss returns; and medians
    of five rows that stand out as a stretch although no single row does.

    Why it matters
    --------------
    A damaged shard or a broken worker feeds a run of bad examples. The weights move with them.

    Threshold
    ---------
    Three rows or more, and the loss back within 4 % of the run; for a stretch, edges of three rows that make up three
    fifths of its height on both sides. Our own choice.

    When it is wrong
    ----------------
    A short instability of the optimizer looks similar, but there the norm usually leads.

    What to try
    -----------
    Find the shard or the worker that fed the listed steps.

    References
    ----------
    Chowdhery et al., PaLM (2022), skipped 200 to 500 batches around spikes.
    """

    code = "GL302"
    name = "bad-batch-burst"
    needs = frozenset({"loss", "norm", "rows"})
    advice = "find the shard or worker that fed these steps"

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note for bursts."""
        bursts = [e for e in case.events if not e.isolated and e.rows >= 3 and e.ramp < 3.0] or list(case.bursts)
        if bursts and case.beliefs.cause == "bad_data":
            longest = max(bursts, key=lambda e: e.rows)
            yield self.finding(
                Severity.NOTE,
                f"{counted(len(bursts), 'burst')}, the longest of {longest.rows} rows from step {case.signals.step[longest.first]:,}",
                Evidence(label="rows of the longest burst", value=longest.rows, threshold=3.0),
                steps=steps_at(case, [e.first for e in bursts]),
            )
