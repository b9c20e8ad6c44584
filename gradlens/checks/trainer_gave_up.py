"""GL407: the trainer stopped the run with words of its own, or an exception did."""

from __future__ import annotations

from gradlens.checks.base import FactCheck


class TrainerGaveUp(FactCheck):
    """The trainer stopped the run with words of its own, or an exception did.

    What it measures
    ----------------
    A line of the log with which trainers give up because a loss is not finite, or the traceback of an exception after which no
    record follows.

    Why it matters
    --------------
    The trainer saw more than it logged, and the curves of a run that crashed look fine up to its last row.

    Threshold
    ---------
    One such line. A stop from the keyboard is none.

    When it is wrong
    ----------------
    A line that quotes another run; a program that fails after its training, while it saves or evaluates.

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
