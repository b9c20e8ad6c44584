"""What the numbers of a column exclude by themselves; nothing here is reported."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact, silent
from gradlens.diagnosis.measured import Measured

#: The lowest rate, as a share of the highest, that is a rate and not the rest of a decay to zero. Our own choice.
MIN_SHARE = 1e-4
#: Rows of a rate without which it proves nothing.
MIN_ROWS = 10


def find(measured: Measured) -> tuple[Fact, ...]:
    """A rate that is never near zero is no rate of zero."""
    rate = measured.signals.lr[np.isfinite(measured.signals.lr)]
    if len(rate) < MIN_ROWS or not rate.min() > MIN_SHARE * rate.max():
        return ()
    return (silent("the learning rate is never zero", "lr_zero"),)
