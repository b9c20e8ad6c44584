"""GL009: the log is too short or lacks columns for a full diagnosis."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.checks.base import Check
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import counted
from gradlens.reports.analysis import Evidence, Finding
from gradlens.reports.base import Severity

#: Rows that are enough, and the share of the rows in which a quantity counts as always logged. Our own choice.
ENOUGH_VALUES, ENOUGH_SHARE = 200.0, 0.9


class ThinEvidence(Check):
    """The log is too short or lacks columns for a full diagnosis.

    What it measures
    ----------------
    The number of rows, of those that hold a loss and of those that hold a norm, and which of loss, norm and learning
    rate are logged at all.

    Why it matters
    --------------
    A cause that needs a missing column cannot be seen, and a short log shows little of anything. Confidence is
    lowered, and checks that cannot run say so.

    Threshold
    ---------
    Fewer than 200 rows, or losses or norms in fewer than that and in less than nine tenths of the rows; no loss, no norm
    or no learning rate.

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

    def check(self, case: Case) -> Iterator[Finding]:
        """Yield one note that lists what is missing."""
        s = case.signals
        words = {"loss": "loss", "norm": "gradient norm", "lr": "learning rate"}
        logged = {"loss": s.has_loss.any(), "norm": s.has_norm.any(), "lr": case.run.lr is not None}
        parts = [f"no {'finite ' if logged[need] else ''}{word}" for need, word in words.items() if not case.has(need)]
        parts = [" and ".join(parts)] if parts else []
        counts = {"loss": int(s.has_loss.sum()), "norm": int(s.has_norm.sum())}
        sparse = {
            word: count for word, count in counts.items() if 0 < count < min(ENOUGH_VALUES, ENOUGH_SHARE * len(case))
        }
        if len(case) < ENOUGH_VALUES:
            parts.append(counted(len(case), "row"))
        parts += [f"a {word} in only {count:,} of {len(case):,} rows" for word, count in sparse.items()]
        if parts:
            yield self.finding(
                Severity.NOTE,
                f"the evidence is thin: {', '.join(parts)}",
                Evidence(label="rows", value=min((len(case), *sparse.values())), threshold=ENOUGH_VALUES),
            )
