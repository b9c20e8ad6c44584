"""GL307: evaluations that end in NaN or infinity."""

from __future__ import annotations

from gradlens.checks.base import FactCheck


class ValidationLost(FactCheck):
    """The validation loss is NaN or infinite, in all evaluations or from one of them to the end.

    What it measures
    ----------------
    The evaluations at the end that are not finite, against the longest such stretch before.

    Why it matters
    --------------
    Nothing held out tells how good the model is, no best checkpoint can be chosen, and weights that fail in evaluation often fail in use.

    Threshold
    ---------
    All evaluations, or three and three times the longest stretch before: some logs hold NaN where nothing was evaluated. Our own choice.

    When it is wrong
    ----------------
    Where evaluation was switched off and NaN is written in its place.

    What to try
    -----------
    Run one evaluation by hand and look for the first batch that is not finite; evaluate in float32; look for empty targets.

    References
    ----------
    Our own.
    """

    code = "GL307"
    name = "validation-lost"
    needs = frozenset({"val_loss"})
    advice = "run one evaluation by hand and look for the first batch that is not finite"
