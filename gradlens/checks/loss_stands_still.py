"""GL511: the loss does not come down."""

from __future__ import annotations

from gradlens.checks.base import FactCheck


class LossStandsStill(FactCheck):
    """The loss does not come down.

    What it measures
    ----------------
    Whether the loss stays within half a percent of ln K, the level of guessing among K classes, or within its
    own noise of where it began; and, beside a loss that stays, whether an accuracy is that of guessing or never changes, whether
    gradients add up because nothing clears them, and whether thirty epochs or more brought nothing.

    Why it matters
    --------------
    At ln K nothing was learned, nor where a model did not come to know data by heart that it saw thirty times. Elsewhere a model that
    was trained before may simply have little left to learn, which is a note.

    Threshold
    ---------
    Half a percent for two to ten classes and for usual numbers of classes and words beyond. Our own choice.

    When it is wrong
    ----------------
    A task that is as hard as guessing; a linear model that fits as well as it can after its first epoch.

    What to try
    -----------
    Try to overfit ten examples.

    References
    ----------
    Karpathy, A recipe for training neural networks (2019).
    """

    code = "GL511"
    name = "loss-stands-still"
    needs = frozenset({"loss", "rows"})
    advice = "try to overfit ten examples"
