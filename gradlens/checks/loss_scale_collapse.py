"""GL402: the loss scale falls faster than it recovers."""

from __future__ import annotations

from typing import ClassVar

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.reports.base import Cause


class LossScaleCollapse(CauseCheck):
    """The loss scale falls faster than it recovers.

    What it measures
    ----------------
    The logarithm of the highest loss scale over the last one, the last scale itself, and norms of exactly 0 after a
    run of NaNs where the scale is not logged.

    Why it matters
    --------------
    The scaler halves on each overflow. If every step overflows, the forward pass itself makes NaN or infinity, and
    no scale helps; a scale near 0 makes all gradients underflow to 0.

    Threshold
    ---------
    {scale_collapses.halvings} halvings and a last scale below {scale_collapses.ends_below}. The OPT logbook called
    a scale of 1 and above healthy; fairseq aborts at 1e-4.

    When it is wrong
    ----------------
    A scaler that starts very high takes many halvings to calibrate, but ends high.

    What to try
    -----------
    Find the first step with a NaN loss and the layer it comes from; train that part in float32, or everything in
    bfloat16.

    References
    ----------
    Zhang et al., OPT (2022), logbook. fairseq fp16_optimizer.py.
    """

    code = "GL402"
    name = "loss-scale-collapse"
    cause: ClassVar[Cause | None] = "loss_scale_collapse"
    advice = "find the first NaN and the layer it comes from; keep that part in float32 or use bfloat16"

    def message(self, case: Case) -> str:
        """How far the scale fell."""
        x = case.numerics
        if x.scale_fall > 0:
            return f"the loss scale falls by a factor of 2^{x.scale_fall:.0f} to {x.last_scale:.3g}"
        return "the norms end at exactly 0 after a run of NaNs, as under a collapsed loss scale"

    def fatal(self, case: Case) -> bool:
        """Training has stopped."""
        return case.numerics.dead_from is not None or case.numerics.zero_tail
