"""Signs in the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.signs.base import ramp, sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.diagnosis.measured import Measured


@sign("the rate jumps up in mid-run")
def rate_jumps(measured: Measured) -> float:
    """By half or more, after the warm-up."""
    return ramp(max((ratio for _, ratio in measured.schedule.jumps), default=1.0), 1.25, 1.5)


@sign("loss or norm jump with the rate")
def response_to_jump(measured: Measured) -> float:
    """Within 5 % of the run after the jump the loss rises by two deviations or the norm by a quarter."""
    n = len(measured)
    best = 0.0
    for row, ratio in measured.schedule.jumps:
        side = max(n // 20, 10)
        rise = 0.0
        loss = measured.loss
        before, after = loss.value[max(row - side, 0) : row], loss.value[row : row + side]
        if np.isfinite(before).sum() >= 5 and np.isfinite(after).sum() >= 5:
            spread = float(np.nanmedian(loss.spread[max(row - side, 0) : row]))
            peak = _highest_median(after, 15)
            rise = ramp((peak - float(np.nanmedian(before))) / max(spread, 1e-12), 0.5, 1.5)
        before, after = measured.norm.value[max(row - side, 0) : row], measured.norm.value[row : row + side]
        if np.isfinite(before).sum() >= 5 and np.isfinite(after).sum() >= 5:
            rise = max(rise, ramp(_highest_median(after, 15) - float(np.nanmedian(before)), 0.08, 0.2))
        best = max(best, rise * ramp(ratio, 1.25, 1.5))
    return best


def _highest_median(value: NDArray[np.float64], width: int) -> float:
    known = value[np.isfinite(value)]
    if len(known) <= width:
        return float(np.median(known))
    return float(np.median(np.lib.stride_tricks.sliding_window_view(known, width), axis=1).max())
