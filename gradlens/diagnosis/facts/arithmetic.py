"""What the numbers of a column exclude by themselves; nothing here is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.facts.base import Fact, silent
from gradlens.diagnosis.measured import Measured

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    if longest_stretch(rate <= MIN_SHARE * rate.max()) > PASSING * len(rate):
        return ()
    return (silent("the learning rate is never zero for long", "lr_zero"),)


def longest_stretch(which: NDArray[np.bool_]) -> int:
    """The largest number of `True` in a row.

    >>> longest_stretch(np.array([True, False, True, True, False]))
    2
    """
    ends = np.flatnonzero(np.diff(np.concatenate(([False], which, [False])).astype(np.int8)))
    return int((ends[1::2] - ends[::2]).max(initial=0))
