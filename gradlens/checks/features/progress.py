"""How the loss came down: how far, how fast, and whether it went up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradlens.checks.features.curves import rolling_level, thinned
from gradlens.stats.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ROWS = 30
#: Rows to which long logs are thinned: progress is a slow thing.
MOST_ROWS = 4000
#: Standard errors of the smoothed loss that a rebound must pass before it counts: the highest of a random curve above its
#: own minimum so far reaches about four.
RANDOM_REBOUND = 4.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Progress:
    """The slow course of the loss, in units of its own descent (*span*: start less lowest level).

    Attributes
    ----------
    start, end, best
        Median of the first and last rows, lowest smoothed level; in units of the loss.
    relative
        (start - best) / |start| less what luck does: descent as a share of where it began. NaN for losses that take
        negative values.
    in_noise
        (start - best) in standard deviations of the loss between neighbouring rows.
    kept
        (start - end) / span, 1 where the loss ends at its lowest; very negative where it ends far above the start.
    rebound
        Highest rise of the smoothed loss above its lowest level so far, less what noise would do, over the span.
    rebound_from, rebound_at
        Where that rise begins and peaks, as shares of the rows.
    rebound_sharpness
        Largest change between neighbouring triples of rows on the way up, less twice the noise, over the rise: about 1 for
        a jump, small for a climb.
    rebound_rate
        Learning rate over its peak at the top of the rebound, NaN if unknown.
    raised
        Share of the rows that lie more than a third of the span above the lowest level so far.
    above_start
        Highest smoothed level above the start less what luck does, in spans (or, where nothing was learned, in noise).
    explosion
        ln of the highest smoothed level over the start; 0 for losses that take negative values.
    half_at
        Share of the rows after which half of the descent was made.
    half_rate
        Learning rate over its peak at that row; NaN if unknown.
    late_drop
        Share of the span that is made after the first 30 % of the rows.
    drop_as_rate_falls
        Share of the span by which the level falls after the rate has come down to 70 % of its peak.
    plateau
        Share of the rows before the last with a level within a tenth of the span of the start.
    """

    start: float
    end: float
    best: float
    relative: float
    in_noise: float
    kept: float
    rebound: float
    rebound_from: float
    rebound_at: float
    rebound_sharpness: float
    rebound_rate: float
    raised: float
    above_start: float
    explosion: float
    half_at: float
    half_rate: float
    late_drop: float
    drop_as_rate_falls: float
    plateau: float


def progress_of(loss: NDArray[np.float64], relative_rate: NDArray[np.float64]) -> Progress | None:
    """The progress of a loss, float64[n], with the learning rate over its peak; None with too few finite losses."""
    finite = np.isfinite(loss)
    if int(finite.sum()) < MIN_ROWS:
        return None
    opening = loss[finite][: max(3, min(int(finite.sum()) // 200, 20))]
    start = float(np.median(opening))
    value = thinned(loss[finite], MOST_ROWS)
    rate = thinned(relative_rate[finite], MOST_ROWS)
    m = len(value)
    width = max(5, m // 40) | 1
    smooth = rolling_level(value, width)
    lowest = np.minimum.accumulate(smooth)
    best = float(smooth[width // 2 :].min())
    end = float(np.median(value[-max(3, m // 20) :]))
    noise = float(np.median(np.abs(np.diff(value)))) / 0.954 or 1e-12 * max(abs(start), 1e-300)
    local = MAD_TO_SIGMA * rolling_level(np.abs(value - smooth), max(width, 31) | 1)
    descent = start - best
    # What the lowest of a random curve lies below a noisy start without any learning.
    bottom = int(np.argmin(smooth[width // 2 :])) + width // 2
    luck = 3.0 * 1.2533 * float(local[bottom]) * (1 / np.sqrt(width) + 1 / np.sqrt(3 * len(opening)))
    # A loss that never fell has no descent to measure by: its noise stands in.
    span = max(descent, 2.0 * noise)
    rise = smooth - lowest - RANDOM_REBOUND * 1.2533 * local / np.sqrt(width)
    top = int(np.argmax(rise))
    foot = int(np.argmin(smooth[: top + 1]))
    half = int(np.argmax(smooth <= start - 0.5 * span))
    late = float(np.median(smooth[int(0.28 * m) : int(0.32 * m) + 1]))
    return Progress(
        start=start,
        end=end,
        best=best,
        relative=(descent - luck) / abs(start) if start > 0 and value.min() >= 0 else float("nan"),
        in_noise=descent / noise,
        kept=(start - end) / span,
        rebound=max(float(rise[top]) / span, 0.0),
        rebound_from=foot / m,
        rebound_at=top / m,
        rebound_sharpness=_sharpness(
            value[max(foot - width, 0) : top + width], float(smooth[top] - smooth[foot]), noise
        ),
        rebound_rate=float(rate[top]),
        raised=float(np.mean(rise > 0.35 * span)),
        above_start=(float(smooth.max()) - start - luck) / span,
        explosion=float(np.log(smooth.max() / start)) if start > 0 and value.min() >= 0 and smooth.max() > 0 else 0.0,
        half_at=half / m,
        half_rate=float(rate[half]),
        late_drop=(late - end) / span,
        drop_as_rate_falls=_drop_as_rate_falls(smooth, rate, end, span),
        plateau=float(np.mean(np.abs(smooth - start) < 0.1 * span)),
    )


def _sharpness(value: NDArray[np.float64], rise: float, noise: float) -> float:
    if len(value) < 6 or not rise > 0:
        return 0.0
    triple = np.median(np.lib.stride_tricks.sliding_window_view(value, 3), axis=1)
    return (float((triple[3:] - triple[:-3]).max()) - 2.0 * noise) / rise


def _drop_as_rate_falls(smooth: NDArray[np.float64], rate: NDArray[np.float64], end: float, span: float) -> float:
    if not np.isfinite(rate).any():
        return 0.0
    peak = int(np.nanargmax(rate))
    low = np.flatnonzero(rate[peak:] <= 0.7)
    return float(smooth[peak + int(low[0])] - end) / span if len(low) else 0.0
