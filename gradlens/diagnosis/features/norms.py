"""Level, noise and reach of the gradient norm, alone and against the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.curves import Curve, neighbour_noise, rolling_level, thinned
from gradlens.frozen import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_NORMS = 20
MAX_ROWS = 4000
#: Times the local level beyond which a norm is far above it.
FAR_ABOVE = 20.0


@frozen(eq=False)
class Norms:
    """The norm over the run.

    Attributes
    ----------
    noise
        Standard deviation of ln norm between neighbouring rows, over sqrt 2: what a new batch does to it.
    loss_noise
        The same of ln loss (NaN for a loss that takes negative values).
    upper_spread
        Median upper deviation of ln norm.
    start_over_rest
        ln of the highest smoothed level in the first fifth over the median of the last two thirds.
    settles_at_once
        ln of the level between 12 and 20 % of the rows over the median of the last two thirds, without sign: small where
        the start-up is over by then.
    first_over_rest
        ln of the first norm, which no update has touched yet, over the median of the last two thirds.
    loss_first_over_rest
        The same of the loss; NaN for a loss that takes negative values.
    late_over_start
        ln of the median of the last third over that of the first twentieth.
    late_over_early
        ln of the median of the last third over that of the first third.
    first_drop
        ln of the first norm, or the median of the first three if that is less, over the median of 10 to 20 % of the rows.
    fade, smoothness
        ln of the median of the first twentieth over that of the last one, and that change over the length of the way there
        through all twentieths: 1 where the norm only falls.
    blown_up
        ln of the second highest norm among the following rows (eleven, or 2 % of the run) over the first one: what the first
        updates did to it.
    rows_far_above
        Share of the rows at more than `FAR_ABOVE` times the local level.
    last_rise
        ln of the last finite norm over the median of the fifty before the last five.
    """

    noise: float
    loss_noise: float
    upper_spread: float
    start_over_rest: float
    settles_at_once: float
    first_over_rest: float
    loss_first_over_rest: float
    late_over_start: float
    late_over_early: float
    first_drop: float
    fade: float
    smoothness: float
    blown_up: float
    rows_far_above: float
    last_rise: float


def norms_of(norm: Curve, loss: Curve) -> Norms | None:
    """The course of the norm; None with fewer than 20 positive values."""
    value = norm.value[np.isfinite(norm.value)]
    if len(value) < MIN_NORMS or not norm.logarithmic:
        return None
    thin = thinned(value, MAX_ROWS)
    m = len(thin)
    smooth = rolling_level(thin, max(5, m // 40) | 1)
    rest = float(np.median(thin[m // 3 :]))
    tail = value[-60:]
    twentieths = np.array([np.median(part) for part in np.array_split(thin, 20)])
    lv = loss.value[np.isfinite(loss.value)]
    return Norms(
        noise=neighbour_noise(value),
        loss_noise=neighbour_noise(lv) if loss.logarithmic and len(lv) > 3 else float("nan"),
        upper_spread=float(np.nanmedian(norm.upper)),
        start_over_rest=float(smooth[: max(m // 5, 3)].max()) - rest,
        settles_at_once=abs(float(np.median(smooth[int(0.12 * m) : int(0.20 * m) + 1])) - rest),
        first_over_rest=float(value[0]) - rest,
        loss_first_over_rest=float(lv[0] - np.median(lv[len(lv) // 3 :]))
        if loss.logarithmic and len(lv)
        else float("nan"),
        late_over_start=float(np.median(value[-(len(value) // 3) :]) - np.median(value[: max(len(value) // 20, 5)])),
        late_over_early=float(np.median(value[-(len(value) // 3) :]) - np.median(value[: len(value) // 3])),
        first_drop=float(
            min(value[0], np.median(value[:3])) - np.median(value[len(value) // 10 : len(value) // 5 + 1])
        ),
        fade=float(twentieths[0] - twentieths[-1]),
        smoothness=float((twentieths[0] - twentieths[-1]) / max(np.abs(np.diff(twentieths)).sum(), 1e-12)),
        blown_up=float(np.sort(value[1 : first_rows(len(value))])[-2] - value[0]),
        rows_far_above=float(np.mean((norm.value - norm.level)[np.isfinite(norm.value)] > np.log(FAR_ABOVE))),
        last_rise=float(tail[-1] - np.median(tail[:-5])),
    )


def first_rows(rows: int) -> int:
    """How many rows of a log count as its first updates: twelve, or 2 % of long logs."""
    return max(12, rows // 50)


@frozen(eq=False)
class Clipped:
    """The norm against the threshold.

    Attributes
    ----------
    rate
        Share of the finite norms above the threshold after the warm-up.
    reach
        Share of all norms above it.
    headroom
        ln of the threshold over the median norm.
    """

    rate: float
    reach: float
    headroom: float


def clipped_of(norm: NDArray[np.float64], threshold: float, warmup: int) -> Clipped | None:
    """How the norms, float64[n], stand to a threshold, with a warm-up of that many rows; None without norms."""
    finite = norm[np.isfinite(norm)]
    after = norm[min(warmup, len(norm) // 2) :]
    after = after[np.isfinite(after)]
    if len(finite) == 0 or len(after) == 0:
        return None
    median = float(np.median(finite))
    return Clipped(
        rate=float(np.mean(after > threshold)),
        reach=float(np.mean(finite > threshold)),
        headroom=float(np.log(threshold / median)) if median > 0 else float("inf"),
    )
