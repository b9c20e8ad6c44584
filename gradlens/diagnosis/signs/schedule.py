"""Signs in the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.signs.base import Ramp, sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.diagnosis.measured import Measured


@sign("the rate jumps up in the middle of the run, to {ratio} times its previous value or more")
def rate_jumps(measured: Measured, *, ratio: Ramp = Ramp(1.25, 1.5)) -> float:
    """From one row to the next, after the warm-up."""
    return ratio(max((ratio for _, ratio in measured.schedule.jumps), default=1.0))


@sign("loss or norm jump with the rate")
def response_to_jump(
    measured: Measured,
    *,
    ratio: Ramp = Ramp(1.25, 1.5),
    loss_rise: Ramp = Ramp(0.5, 1.5),
    norm_rise: Ramp = Ramp(0.08, 0.2, "ln"),
) -> float:
    """After a jump to {ratio} times the rate, the loss rises by {loss_rise} deviations, or the norm to {norm_rise} times its level.

    By the highest median of fifteen rows in the twentieth of the run that follows.
    """
    n = len(measured)
    best = 0.0
    for row, jump in measured.schedule.jumps:
        side = max(n // 20, 10)
        rise = 0.0
        loss = measured.loss
        before, after = loss.value[max(row - side, 0) : row], loss.value[row : row + side]
        if np.isfinite(before).sum() >= 5 and np.isfinite(after).sum() >= 5:
            spread = float(np.nanmedian(loss.spread[max(row - side, 0) : row]))
            rise = loss_rise((_highest_median(after, 15) - float(np.nanmedian(before))) / max(spread, 1e-12))
        before, after = measured.norm.value[max(row - side, 0) : row], measured.norm.value[row : row + side]
        if np.isfinite(before).sum() >= 5 and np.isfinite(after).sum() >= 5:
            rise = max(rise, norm_rise(_highest_median(after, 15) - float(np.nanmedian(before))))
        best = max(best, rise * ratio(jump))
    return best


def _highest_median(value: NDArray[np.float64], width: int) -> float:
    known = value[np.isfinite(value)]
    if len(known) <= width:
        return float(np.median(known))
    return float(np.median(np.lib.stride_tricks.sliding_window_view(known, width), axis=1).max())
