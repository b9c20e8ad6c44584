"""A norm that falls at first and with the loss is the gradient of that loss, however smooth it is, and not that of a penalty.

Weights that a coupled penalty shrinks lose the same share of themselves in each step, at most a little more while the rate is at its peak:
a norm that it dominates falls steadily, and little of its fall comes in the first tenth of the run. The gradient of a loss falls as the
loss does, most at first; in a network of many weights its noise averages out, and the norm is then as smooth as that of a penalty.
"""

from __future__ import annotations

import numpy as np

from gradlens.diagnosis.facts.base import Fact, silent
from gradlens.diagnosis.features.curves import block_medians
from gradlens.diagnosis.measured import Measured
from gradlens.diagnosis.signs.recorder import penalty_dominates

#: Rows without which nothing is told, levels that are compared, least fall of the logarithm of the norm, share of it in the first tenth
#: (a rate that decays as fast as the root of the step gives a penalty at most as much), and correlation with that of the loss. Our own.
MIN_ROWS, BLOCKS, MIN_FALL, MIN_SHARE, MIN_CORRELATION = 120, 40, 0.3, 0.33, 0.9


def find(measured: Measured) -> tuple[Fact, ...]:
    """A silent fact that excludes a penalty, unless a column shows its share of the norm."""
    loss, norm = measured.signals.loss, measured.signals.norm
    both = np.isfinite(loss) & np.isfinite(norm) & (loss > 0) & (norm > 0)
    if measured.progress is None or int(both.sum()) < MIN_ROWS or penalty_dominates(measured) > 0:
        return ()
    of_norm, of_loss = (block_medians(np.log(x[both]), BLOCKS) for x in (norm, loss))
    fall = float(of_norm[0] - of_norm[-1])
    first = float(of_norm[0] - of_norm[BLOCKS // 10 - 1])
    if fall < MIN_FALL or first < MIN_SHARE * fall or float(of_loss.std()) == 0.0:
        return ()
    if float(np.corrcoef(of_norm, of_loss)[0, 1]) < MIN_CORRELATION:
        return ()
    return (silent("the norm falls at first, with the loss", "l2_contamination"),)
