"""GL010: the loss is not a measure of progress."""

from __future__ import annotations

from gradlens.checks.base import FactCheck


class LossWithoutMeaning(FactCheck):
    """The loss is not a measure of progress.

    What it measures
    ----------------
    Names, companion columns (reward, return, advantage, kl, discriminator) and the sign of the loss: the
    surrogate loss of a policy gradient, a temporal-difference loss, one of two adversaries, or a loss that
    takes both signs all along.

    Why it matters
    --------------
    Such a loss rises in runs that do well and stands still in runs that learn. Nothing that is read off its
    course means anything. Where only its signs tell, and no name, its curves are still compared with those of
    runs with such a loss.

    Threshold
    ---------
    A name or a companion column; both signs in 5 % of the first and of the last third of the values.

    When it is wrong
    ----------------
    A regression log with a column called reward.

    What to try
    -----------
    Read the reward, the return or a score of evaluation instead.

    References
    ----------
    Schulman et al., Proximal policy optimization algorithms (2017). Goodfellow et al., Generative adversarial
    networks (2014).
    """

    code = "GL010"
    name = "loss-without-meaning"
    advice = "read the reward, the return or a score of evaluation"
