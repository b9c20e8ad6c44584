"""GL101: most steps are clipped."""

from __future__ import annotations

from typing import ClassVar

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import percent
from gradlens.reports.base import Cause


class ThresholdTooTight(CauseCheck):
    """Most steps are clipped.

    What it measures
    ----------------
    The share of finite norms above the threshold after the warm-up.

    Why it matters
    --------------
    Under plain SGD each clipped step is a smaller step: the learning rate is cut by C / norm and progress suffers.
    Under Adam a constant rescale cancels, so the harm is smaller, but the threshold then acts on every step and no
    longer as protection.

    Threshold
    ---------
    {mostly_clipped.rate} grade the sign. On labelled runs 63 % and more with the fault, at most 25 % without. The
    Google tuning playbook calls more than 50 % extremely aggressive.

    When it is wrong
    ----------------
    Healthy AdamW runs may clip every step; a sweep is the only proof of harm. Norms that grew through another fault
    are clipped as a consequence.

    What to try
    -----------
    Raise the threshold to the 90th percentile of the norms or more and compare the loss at equal steps. `gradlens
    suggest-threshold` gives the number.

    References
    ----------
    Godbole et al., Deep Learning Tuning Playbook (2023). Pascanu et al., On the difficulty of training recurrent
    neural networks (2013).
    """

    code = "GL101"
    name = "threshold-too-tight"
    cause: ClassVar[Cause | None] = "clip_too_tight"
    advice = "raise the threshold (see `gradlens suggest-threshold`) and compare the loss at equal steps"

    def message(self, case: Case) -> str:
        """The clip rate and what is left of the steps."""
        c = case.clipped
        if c is None:
            return "most steps seem to be clipped"
        return f"{percent(c.rate)} of the steps after warm-up are clipped at {case.threshold:g}"
