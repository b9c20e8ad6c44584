"""How the loss came down: how far, how fast, and whether it went up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.curves import neighbour_noise, rolling_level, thinned, times_expected
from gradlens.frozen import frozen
from gradlens.stats.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ROWS = 30
#: Rows to which long logs are thinned: progress is slow.
MAX_ROWS = 4000
#: Standard errors of the smoothed loss that a rebound must pass before it counts: the highest of a random curve above its
#: own minimum so far reaches about four.
RANDOM_REBOUND = 4.0
#: The same for medians of few rows, which follow the heavy tails of the noise: added over the number of rows.
FEW_ROWS_REBOUND = 10.0
#: Share of the rows that a rate must stay high for before its decay can explain what follows. Our own choice.
MIN_HIGH_SHARE = 0.2
#: Share of the descent above its lowest level until then from which a loss is raised.
RAISED = 0.35
#: Shares of the highest rate from which on a rate has fallen, and is low.
FALLEN_RATE, LOW_RATE = 0.7, 0.35
#: Rows without which a fall in the noise is not told, standard errors of its levels, and share of the first level. Our own choice.
FELL_ROWS, FELL_ERRORS, FELL_SHARE = 100, 5.0, 0.1
#: Times its first value, and deviations of the noise of its logarithm, from which the first updates threw a loss up.
THROWN, THROWN_NOISE = 1.5, 5.0
#: Windows that a log must have for their usual movement to be measured: of fewer, the descent is most.
MOVES = 20


@frozen(eq=False)
class Progress:
    """The slow course of the loss, in units of its own descent (*span*: start less lowest level).

    Attributes
    ----------
    start, end, best
        Median of the first rows (see `opening_of`) and of the last ones, lowest smoothed level; in units of the loss.
    relative
        Descent as a share of where it began, less what chance would give: from the start to the lowest level, or from the first tenth
        of the rows to the last third, whichever is surer. NaN for losses that take negative values.
    in_noise
        (start - best) in standard deviations of the loss between neighbouring rows.
    kept
        (start - end) / span, 1 where the loss ends at its lowest; very negative where it ends far above the start.
    rebound
        Highest rise of the smoothed loss above its lowest level so far, less what noise would do, over the span.
    rebound_at
        Where that rise peaks, as a share of the rows.
    rebound_sharpness
        Largest change between neighbouring triples of rows on the way up, less twice the noise, over the rise: about 1 for
        a jump, small for a climb.
    rebound_rate
        Learning rate over its peak at the top of the rebound, NaN if unknown.
    raised
        Share of the rows that lie more than `RAISED` of the span above the lowest level so far.
    above_start
        Highest smoothed level above the start less what chance would give, in spans (or, where nothing was learned, in noise).
    explosion
        ln of the highest smoothed level over the start; 0 for losses that take negative values.
    half_rate
        Learning rate over its peak at the row by which half of the descent was made; NaN if unknown.
    drop_as_rate_falls
        Share of the span by which the level falls after the rate has come down to `FALLEN_RATE` of its peak.
    drop_at_low_rate, pace_at_low_rate
        Share of the span by which the level falls after the rate has come down to `LOW_RATE` of its peak, and how many times the
        pace (span per row) of that fall is the pace between the peak of the rate and there. 0 where that never happens.
    after_first_tenth
        Share of the descent (from the start to the end) that is made after 10 to 15 % of the rows.
    early_low
        How many standard errors the lowest level of the first third lies below the median of the last third.
    late_over_low
        The same difference over the start; NaN for losses that take negative values.
    plainly_fell
        Whether the loss fell by a good part of itself, however large the noise of single batches is (see `plainly_fell`).
    """

    start: float
    end: float
    best: float
    relative: float
    in_noise: float
    kept: float
    rebound: float
    rebound_at: float
    rebound_sharpness: float
    rebound_rate: float
    raised: float
    above_start: float
    explosion: float
    half_rate: float
    drop_as_rate_falls: float
    drop_at_low_rate: float
    pace_at_low_rate: float
    after_first_tenth: float
    early_low: float
    late_over_low: float
    plainly_fell: bool = False


def progress_of(
    loss: NDArray[np.float64], relative_rate: NDArray[np.float64], *, from_the_start: bool = True
) -> Progress | None:
    """The progress of a loss, float64[n], with the learning rate over its peak; None with too few finite losses.

    `from_the_start` says that the first row is that of the training: only then can it show what the first updates did.
    """
    finite = np.isfinite(loss)
    if int(finite.sum()) < MIN_ROWS:
        return None
    opening = opening_of(loss[finite], from_the_start=from_the_start)
    start = float(np.median(opening))
    value = thinned(loss[finite], MAX_ROWS)
    rate = thinned(relative_rate[finite], MAX_ROWS)
    m = len(value)
    width = max(5, m // 40) | 1
    smooth = rolling_level(value, width)
    lowest = np.minimum.accumulate(smooth)
    best = float(smooth[width // 2 :].min())
    end = float(np.median(value[-max(3, m // 20) :]))
    noise = neighbour_noise(value) or 1e-12 * max(abs(start), 1e-300)
    local = MAD_TO_SIGMA * rolling_level(np.abs(value - smooth), max(width, 31) | 1)
    descent = start - best
    # What the lowest of a random curve lies below a noisy start without any learning.
    bottom = int(np.argmin(smooth[width // 2 :])) + width // 2
    luck = 3.0 * 1.2533 * float(local[bottom]) * (1 / np.sqrt(width) + 1 / np.sqrt(3 * len(opening)))
    # A loss that never fell has no descent to measure by: its noise stands in.
    span = max(descent, 2.0 * noise)
    error = 1.2533 * local / np.sqrt(width)
    rise = smooth - lowest - (RANDOM_REBOUND + FEW_ROWS_REBOUND / width) * wander_of(smooth, error, width) * error
    top = int(np.argmax(rise))
    foot = int(np.argmin(smooth[: top + 1]))
    half = int(np.argmax(smooth <= start - 0.5 * span))
    early_low, stuck = _early_low(value, width)
    positive = start > 0 and bool(value.min() >= 0)
    low_drop, low_pace = _drop_at_low_rate(smooth, rate, end, span)
    return Progress(
        start=start,
        end=end,
        best=best,
        relative=max(descent - luck, _slow_descent(value)) / start if positive else float("nan"),
        in_noise=descent / noise,
        kept=(start - end) / span,
        rebound=max(float(rise[top]) / span, 0.0),
        rebound_at=top / m,
        rebound_sharpness=_sharpness(
            value[max(foot - width, 0) : top + width], float(smooth[top] - smooth[foot]), noise
        ),
        rebound_rate=float(rate[top]),
        raised=float(np.mean(rise > RAISED * span)),
        above_start=(float(smooth.max()) - start - luck) / span,
        explosion=float(np.log(smooth.max() / start)) if positive and smooth.max() > 0 else 0.0,
        half_rate=float(rate[half]),
        drop_as_rate_falls=_drop_as_rate_falls(smooth, rate, end, span),
        drop_at_low_rate=low_drop,
        pace_at_low_rate=low_pace,
        after_first_tenth=(float(np.median(value[m // 10 : max(m * 3 // 20, m // 10 + 3)])) - end)
        / max(start - end, 1e-300),
        early_low=early_low,
        late_over_low=stuck / start if positive else float("nan"),
        plainly_fell=positive and plainly_fell(value),
    )


def plainly_fell(value: NDArray[np.float64]) -> bool:
    """Whether the level of a positive loss, float64[n], came down for certain by a tenth of itself or more.

    By the medians of blocks of rows: noise from row to row averages out in them, and noise that lasts for longer than a block shows as
    scatter of the blocks of the second half, which is counted in. The last third of the blocks against the first eighth, by
    `FELL_ERRORS` standard errors. False with fewer than `FELL_ROWS` rows, and where the first updates threw the loss up from a first value
    to which it does not come back.
    """
    if len(value) < FELL_ROWS:
        return False
    blocks = int(np.clip(len(value) // 8, 12, 32))
    level = np.array([float(np.median(part)) for part in np.array_split(value, blocks)])
    late = level[blocks // 2 :]
    scatter = max(neighbour_noise(level), MAD_TO_SIGMA * float(np.median(np.abs(late - np.median(late)))))
    first, last = level[: max(blocks // 8, 2)], level[-(blocks // 3) :]
    fall = float(np.mean(first) - np.mean(last))
    thrown = value[0] > 0 and float(np.log(level[0] / value[0])) > max(
        np.log(THROWN), THROWN_NOISE * neighbour_noise(np.log(np.maximum(value, 1e-300)))
    )
    if thrown and float(np.mean(last)) > (1.0 - FELL_SHARE) * value[0]:
        return False
    error = scatter * float(np.sqrt(1 / len(first) + 1 / len(last)))
    return fall >= max(FELL_ERRORS * error, FELL_SHARE * float(np.mean(first)))


def wander_of(level: NDArray[np.float64], error: NDArray[np.float64], width: int) -> float:
    """How many times more a level of `width` rows usually moves than its standard error says; at least 1.

    By second differences of neighbouring windows, which leave out a trend.
    """
    if len(level) < MOVES * width:
        return 1.0
    bend = level[: -2 * width] - 2.0 * level[width:-width] + level[2 * width :]
    return times_expected(bend, np.maximum(error[width:-width], 1e-300), 6.0)


def _slow_descent(value: NDArray[np.float64]) -> float:
    """The median of the first tenth less that of the last third, less two standard errors of the difference."""
    first, last = value[: max(len(value) // 10, 5)], value[-(len(value) // 3) :]
    error = [1.2533 * MAD_TO_SIGMA * np.median(np.abs(v - np.median(v))) / np.sqrt(len(v)) for v in (first, last)]
    return float(np.median(first) - np.median(last) - 2.0 * np.hypot(*error))


def _early_low(value: NDArray[np.float64], width: int) -> tuple[float, float]:
    """The median of the last third above the lowest level of the first third: in standard errors, and in units of the loss.

    Levels are medians of `width` rows; their standard error follows from the noise between neighbouring rows. Four errors are
    taken off for the search over many windows.
    """
    m = len(value)
    first = value[: m // 3]
    if len(first) < 2 * width:
        return 0.0, 0.0
    table = np.lib.stride_tricks.sliding_window_view(first, width)
    level = np.median(table, axis=1)
    at = int(np.argmin(level))
    late = float(np.median(value[-(m // 3) :]))
    noise = max(neighbour_noise(table[at]), neighbour_noise(value), 1e-12 * abs(late))
    return (late - float(level[at])) / max(1.2533 * noise / np.sqrt(width), 1e-300) - 4.0, late - float(level[at])


def opening_of(loss: NDArray[np.float64], *, from_the_start: bool) -> NDArray[np.float64]:
    """The first rows, whose median is where the loss began; the first one alone where the first updates threw it off.

    The first loss is measured before any update. Where the second highest of the rows after it stands at one and a half
    times it, and five deviations of the noise above, they show what the updates did and not where the run began.
    """
    opening = loss[: max(3, min(len(loss) // 200, 20))]
    following = loss[: 8 * len(opening)]
    if not from_the_start or not following.min() > 0:
        return opening
    noise = start_noise(following, len(opening))
    rise = float(np.log(np.sort(opening)[-2] / opening[0]))
    return opening[:1] if rise > max(np.log(1.5), 5.0 * noise) else opening


def start_noise(value: NDArray[np.float64], rows: int) -> float:
    """The noise of ln of the first values, by differences of neighbours: among about the first `rows`, or all if there are fewer.

    A blow by the first updates makes the first rows differ, and a fast descent or growing noise the others.
    """
    size = np.log(value)
    return min(neighbour_noise(size[: max(12, 2 * rows + 1)]), neighbour_noise(size))


def _sharpness(value: NDArray[np.float64], rise: float, noise: float) -> float:
    if len(value) < 6 or not rise > 0:
        return 0.0
    triple = np.median(np.lib.stride_tricks.sliding_window_view(value, 3), axis=1)
    return (float((triple[3:] - triple[:-3]).max()) - 2.0 * noise) / rise


def _high_until(rate: NDArray[np.float64], share: float) -> tuple[int, int] | None:
    """The row of the highest rate, and the first one after it at no more than that share of it; None where there is none.

    Neither where the rate is high only for a moment: most of any descent comes after that.
    """
    if not np.isfinite(rate).any():
        return None
    peak = int(np.nanargmax(rate))
    low = np.flatnonzero(rate[peak:] <= share)
    return None if not len(low) or int(low[0]) < MIN_HIGH_SHARE * len(rate) else (peak, peak + int(low[0]))


def _drop_as_rate_falls(smooth: NDArray[np.float64], rate: NDArray[np.float64], end: float, span: float) -> float:
    high = _high_until(rate, FALLEN_RATE)
    return 0.0 if high is None else float(smooth[high[1]] - end) / span


def _drop_at_low_rate(
    smooth: NDArray[np.float64], rate: NDArray[np.float64], end: float, span: float
) -> tuple[float, float]:
    high = _high_until(rate, LOW_RATE)
    if high is None:
        return 0.0, 0.0
    m = len(smooth)
    peak, at = high
    begin = peak + m // 20  # the first rows at the peak belong to the first descent
    if smooth[at] - smooth[begin] > 0.15 * span:
        return 0.0, 0.0  # the loss rose at the high rate: it did not stand still
    drop = float(smooth[at] - end) / span
    pace = drop / max(m - at, 1)
    before = float(smooth[begin] - smooth[at]) / span / (at - begin)
    return drop, pace / max(before, 0.02 / m)
