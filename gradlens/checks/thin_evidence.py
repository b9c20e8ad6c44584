"""GL009: the log is too short or lacks columns for a full diagnosis."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.checks.base import Check
from gradlens.checks.case import Case
from gradlens.report import Evidence, Finding, Severity


class ThinEvidence(Check):
    """The log is too short or lacks columns for a full diagnosis.

    What it measures
    ----------------
    The number of rows, and which of loss, norm and learning rate are logged.

    Why it matters
    --------------
    A cause that needs a missing column cannot be seen, and a short log shows little of anything. Confidence is
    lowered, and checks that cannot run say so.

    Threshold
    ---------
    Fewer than 200 rows; no loss, no norm or no learning rate.

    When it is wrong
    ----------------
    Never: it only states what is missing.

    What to try
    -----------
    Log loss, gradient norm before clipping and learning rate at every step.

    References
    ----------
    None.
    """

    code = "GL009"
    name = "thin-evidence"
    advice = "log loss, gradient norm before clipping and learning rate at every step"

    def look(self, case: Case) -> Iterator[Finding]:
        """Yield one note that lists what is missing."""
        words = {"loss": "loss", "norm": "gradient norm", "lr": "learning rate"}
        missing = [word for need, word in words.items() if not case.has(need)]
        parts = [f"no {' and no '.join(missing)}"] if missing else []
        if len(case) < 200:
            parts.append(f"{len(case)} rows")
        if parts:
            yield self.finding(
                Severity.NOTE,
                f"the evidence is thin: {', '.join(parts)}",
                Evidence(label="rows", value=len(case), threshold=200.0),
            )
