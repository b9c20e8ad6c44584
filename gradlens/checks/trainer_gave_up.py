"""GL407: the trainer stopped the run with words of its own."""

from __future__ import annotations

from gradlens.checks.base import FactCheck


class TrainerGaveUp(FactCheck):
    """The trainer stopped the run with words of its own.

    What it measures
    ----------------
    A line of the log with which trainers give up because a loss is not finite.

    Why it matters
    --------------
    The trainer saw more than it logged.

    Threshold
    ---------
    One such line.

    When it is wrong
    ----------------
    A line that quotes another run.

    What to try
    -----------
    Look at the lines before it.

    References
    ----------
    fairseq fp16_optimizer.py; DeepSpeed loss_scaler.py.
    """

    code = "GL407"
    name = "trainer-gave-up"
    advice = "look at the lines before it"
