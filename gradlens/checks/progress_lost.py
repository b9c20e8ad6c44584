"""GL510: what was learned is lost again and not regained, or the loss diverged."""

from __future__ import annotations

from gradlens.checks.base import FactCheck


class ProgressLost(FactCheck):
    """What was learned is lost again and not regained, or the loss diverged.

    What it measures
    ----------------
    The last twentieth of the losses against the lowest smoothed level and the start.

    Why it matters
    --------------
    Whatever the cause, the run should go on from an earlier checkpoint.

    Threshold
    ---------
    Less than three fifths of the descent kept; or, for a fifth of the run, 1.7 times the lowest level and 15 %
    of the descent above it; or, plainly and for a fifth of the run, a fifth above the lowest level and an eighth of the
    descent, or a tenth and a third; or 2.5 times the start (diverged). Our own choice.

    When it is wrong
    ----------------
    A curriculum or another data set on purpose.

    What to try
    -----------
    Go back to a checkpoint before the rise; continue with a third of the rate; replay the batches of the rise.

    References
    ----------
    Chowdhery et al., PaLM (2022), section 5.1.
    """

    code = "GL510"
    name = "progress-lost"
    needs = frozenset({"loss", "rows"})
    advice = "go back to a checkpoint from before the rise"
