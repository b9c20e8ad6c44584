"""GL104: gradients were clipped while they still carried the loss scale."""

from __future__ import annotations

from typing import ClassVar

from gradlens.checks.base import FactCheck
from gradlens.reports.base import Cause


class ClipBeforeUnscale(FactCheck):
    """Gradients were clipped while they still carried the loss scale.

    What it measures
    ----------------
    Whether nine tenths of the norms equal a usual threshold over a power of two between 2^8 and 2^24, within .2
    %.

    Why it matters
    --------------
    What clipping leaves of scaled gradients is C; unscaled afterwards, C over the loss scale. Every step is
    then tens of thousands of times too short.

    Threshold
    ---------
    Twenty norms. Our own choice.

    When it is wrong
    ----------------
    Norms that are constant for another reason and happen to be such a value.

    What to try
    -----------
    Call scaler.unscale_(optimizer) before clip_grad_norm_, then scaler.step(optimizer).

    References
    ----------
    PyTorch documentation, Automatic Mixed Precision examples: gradient clipping.
    """

    code = "GL104"
    name = "clip-before-unscale"
    cause: ClassVar[Cause | None] = "clip_before_unscale"
    needs = frozenset({"norm"})
    advice = "call scaler.unscale_(optimizer) before clip_grad_norm_"
