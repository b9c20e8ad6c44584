"""GL401: gradients overflow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from gradlens.checks.base import Check
from gradlens.checks.case import Case
from gradlens.report import Cause, Evidence, Finding, Severity


class Overflow(Check):
    """Gradients overflow again and again while the loss stays finite.

    What it measures
    ----------------
    The share of non-finite norms with a finite loss, after the first 5 % of the run.

    Why it matters
    --------------
    Each such step is skipped by the loss scaler: its batch is lost and the effective number of updates falls.

    Threshold
    ---------
    2 % of the rows after the first 5 %; the first overflows only calibrate the scale. Our own limit: healthy labelled
    runs have none, affected ones at least 4 %.

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
    needs = frozenset({"norm", "rows"})
    advice = "lengthen the scaler's growth interval, cap the loss scale, or train in bfloat16"

    def look(self, case: Case) -> Iterator[Finding]:
        """Yield one finding where overflows keep coming."""
        s = case.signals
        late = np.arange(len(s)) >= len(s) // 20
        bad = late & s.has_norm & ~np.isfinite(s.norm) & np.isfinite(s.loss)
        share = float(bad.sum() / max(int((late & s.has_norm).sum()), 1))
        if share >= 0.02:
            yield self.finding(
                Severity.WARNING,
                f"{share:.1%} of the norms are not finite while the loss is",
                Evidence(label="non-finite norms after the start", value=share, threshold=0.02),
                steps=tuple(int(v) for v in s.step[bad][:20]),
            )
