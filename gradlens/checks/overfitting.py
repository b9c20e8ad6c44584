"""GL306: the validation loss rises while the training loss falls."""

from __future__ import annotations

from typing import ClassVar

from gradlens.checks.base import FactCheck
from gradlens.reports.base import Cause


class Overfitting(FactCheck):
    """The validation loss rises while the training loss falls.

    What it measures
    ----------------
    The median of the last three validation losses against the best one, and how many evaluations followed it.

    Why it matters
    --------------
    The checkpoint at the end is worse than an earlier one.

    Threshold
    ---------
    A tenth above the best is a warning, 3 % a note, for at least a quarter of the evaluations and three of
    them. A rise of less than 2 % of the fall to the best stays a note. Our own choice.

    When it is wrong
    ----------------
    Validation sets that change, and losses whose rise does not cost accuracy.

    What to try
    -----------
    Use the checkpoint of the best validation loss; add data, regularisation or augmentation.

    References
    ----------
    Prechelt, Early stopping – but when? (1998).
    """

    code = "GL306"
    name = "overfitting"
    cause: ClassVar[Cause | None] = "overfitting"
    needs = frozenset({"val_loss"})
    advice = "use the checkpoint of the best validation loss"
