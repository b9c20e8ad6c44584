"""What the numbers of a column exclude by themselves; nothing here is reported."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact, silent
from gradlens.diagnosis.measured import Measured
from gradlens.stats.spikes import stretches_of

#: The lowest rate, as a share of the highest, that is a rate and not the rest of a decay to zero. Our own choice.
MIN_SHARE = 1e-4
#: Rows of a rate without which it proves nothing, and the share of them in a row that a schedule passes near zero: the end of a decay to
#: zero, the turn of a wave. Our own choice.
MIN_ROWS, PASSING = 10, 0.05


def find(measured: Measured) -> tuple[Fact, ...]:
    """A rate that is never near zero, or only in passing, is no rate of zero."""
    rate = measured.signals.lr[np.isfinite(measured.signals.lr)]
    if len(rate) < MIN_ROWS or not rate.max() > 0:
        return ()
    near_zero = stretches_of(rate <= MIN_SHARE * rate.max())
    if np.diff(near_zero).max(initial=0) > PASSING * len(rate):
        return ()
    return (silent("the learning rate is never zero for long", "lr_zero"),)
