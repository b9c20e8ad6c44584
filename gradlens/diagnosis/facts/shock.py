"""Whether a rise of the loss begins with a shock, as those do that single batches cause."""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.measured import Measured

#: Rows around the beginning of a rise in which a shock would show, how many times the level after it loss and norm then reach at least, and
#: rows of that level. Our own choice.
SHOCK_ROWS, SHOCK_LOSS, SHOCK_NORM, MIN_AFTER = 10, 1.5, 3.0, 20


def begins_without_a_shock(measured: Measured, since: int) -> bool:
    """Whether neither loss nor norm was higher where a rise begins than they are after it: single batches begin with a shock."""
    s = measured.signals
    row = int(np.searchsorted(s.step, since))
    near = slice(max(row - SHOCK_ROWS, 0), row + 2 * SHOCK_ROWS)
    for column, times in ((s.loss, SHOCK_LOSS), (s.norm, SHOCK_NORM)):
        at, after = column[near], column[row:]
        at, after = at[np.isfinite(at)], after[np.isfinite(after)]
        if len(after) >= MIN_AFTER and len(at) and at.max() > times * np.median(after):
            return False
    return int(np.isfinite(s.loss[row:]).sum()) >= MIN_AFTER
