"""Batches that cost many times what they cost a model that had learned nothing."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.words import counted, figure
from gradlens.reports.analysis import Evidence
from gradlens.reports.base import Cause, Severity

#: Times the loss at the start, and the local level of the norm, beyond which a batch is none of the task. Batches without which it is
#: not told. Our own choice.
MIN_LOSS, MIN_NORM, MIN_EVENTS = 20.0, 10.0, 3
#: Share of its height that the loss has one row later.
MAX_NEXT = 0.1
OF_STEPS: frozenset[Cause] = frozenset({"lr_too_high", "no_warmup", "exploding"})
#: Share of the rows up to which such batches are the exception.
MAX_SHARE = 0.2


def find(measured: Measured) -> tuple[Fact, ...]:
    """A warning where single rows stand far above the start in loss and norm, and the loss is back at once each time.

    Targets on another scale, or examples far outside the others, cost more than a model that knows nothing pays for the rest. Where the
    loss of the next row is ordinary the weights were so all along: steps that are too long would have left it high.
    """
    p = measured.progress
    if p is None or not p.start > 0 or not measured.loss.logarithmic or measured.numerics.dead_from is not None:
        return ()
    s = measured.signals
    high = np.flatnonzero(np.isfinite(s.loss) & (s.loss > MIN_LOSS * p.start))
    if not MIN_EVENTS <= len(high) <= MAX_SHARE * len(s):
        return ()
    ratio = (
        np.exp(np.clip(measured.norm.value - measured.norm.level, -50.0, 50.0))
        if measured.norm.logarithmic
        else np.full(len(s), np.nan)
    )
    following = np.append(s.loss[1:], np.nan)
    alone = high[(ratio[high] > MIN_NORM) & (following[high] < MAX_NEXT * s.loss[high])]
    if len(alone) < MIN_EVENTS or len(alone) < 0.8 * len(high):
        return ()
    worst = sorted(alone, key=lambda row: -s.loss[row])
    return (
        Fact(
            code="GL301",
            severity=Severity.WARNING,
            # Where the threshold is known, it may be what lets them through.
            cause="bad_data" if measured.clipped is None else None,
            confidence=0.7,
            otherwise="bad_data",
            rules_out=OF_STEPS,
            message=f"in {counted(len(alone), 'row')} the loss is more than {MIN_LOSS:.0f} times what it began at, up to "
            f"{figure(float(s.loss[worst[0]]))}, the norm with it, and back at once: outliers among targets or inputs",
            advice="look at the examples of these batches: targets on another scale, missing values written as numbers; or use a loss that "
            "outliers move less (Huber)",
            steps=tuple(int(s.step[row]) for row in worst[:8]),
            evidence=(
                Evidence(
                    label="highest loss over the start", value=float(s.loss[worst[0]]) / p.start, threshold=MIN_LOSS
                ),
            ),
        ),
    )
