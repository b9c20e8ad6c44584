"""GL401: gradients overflow again and again while the loss stays finite."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from gradlens.checks.base import CauseCheck
from gradlens.diagnosis.case import Case
from gradlens.diagnosis.words import counted, percent
from gradlens.reports.base import Cause


class Overflow(CauseCheck):
    """Gradients overflow again and again while the loss stays finite.

    What it measures
    ----------------
    The share of non-finite norms with a finite loss, after the first 5 % of the run.

    Why it matters
    --------------
    Each such step is skipped by the loss scaler: its batch is lost and the effective number of updates falls.

    Threshold
    ---------
    {overflows.rows} of the rows, at least {overflows.min_rows}; the first overflows only calibrate the scale. Our
    own limits: healthy labelled runs have none, affected ones at least 4 %.

    When it is wrong
    ----------------
    A scale that grows every 2000 steps overflows once each time: rare, and normal.

    What to try
    -----------
    A longer growth interval, a lower initial or maximal scale, or bfloat16.

    References
    ----------
    Micikevicius et al., Mixed precision training (2018). PyTorch documentation of torch.amp.GradScaler.
    """

    code = "GL401"
    name = "overflow"
    cause: ClassVar[Cause | None] = "fp16_overflow"
    advice = "lengthen the scaler's growth interval, cap the loss scale, or train in bfloat16"
    reference = "https://pytorch.org/docs/stable/amp.html"

    def message(self, case: Case) -> str:
        """How many overflows."""
        found = int(np.count_nonzero(case.signals.bad_norm & np.isfinite(case.signals.loss)))
        share = percent(found / max(len(case), 1), 1)
        return (
            f"{counted(found, 'row')} ({share}) with an infinite or NaN norm and an ordinary loss: overflows of fp16, which a loss "
            "scaler skips"
        )

    def rows(self, case: Case) -> Iterable[int]:
        """The overflows."""
        s = case.signals
        return np.flatnonzero(s.bad_norm & np.isfinite(s.loss)).tolist()
