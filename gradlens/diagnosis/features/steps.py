"""Sudden changes: the level of the loss or the norm, or the spread of both, differs before and after one row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.curves import Curve, rolling_level, thinned, times_expected
from gradlens.frozen import frozen
from gradlens.stats.robust import MAD_TO_SIGMA, window_quantiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ROWS = 6_000
MIN_ROWS = 36
#: Windows that a log must have for their usual movement to be measured.
MOVES = 12
#: Smallest local deviation of a logarithm that is taken seriously: losses printed with few digits have windows without any.
MIN_DEVIATION = 2e-3


@frozen(eq=False)
class Step:
    """The strongest step of a level.

    Attributes
    ----------
    row
        The first row after it.
    errors
        Difference of the medians on both sides in standard errors; 0 where nothing could be measured.
    size
        The difference on the curve's scale (a difference of logarithms, usually).
    deviations
        The difference in local standard deviations.
    sharpness
        Largest change between neighbouring triples of rows at the step, over the difference: about 1 for a sudden
        change, small for a ramp.
    abruptness
        Share of the difference that is made within a fifth of the window, less what noise would.
    lasting
        Share of the difference that is still there one to four windows later.
    """

    row: int
    errors: float
    size: float
    deviations: float
    sharpness: float
    abruptness: float
    lasting: float


NO_STEP = Step(row=0, errors=0.0, size=0.0, deviations=0.0, sharpness=0.0, abruptness=0.0, lasting=0.0)


@frozen(eq=False)
class Break:
    """The row at which norm level, norm spread and loss spread change most, taken together.

    Attributes
    ----------
    row
        The first row after it.
    score
        Sum of the three changes, each in standard errors, over the root of three, without sign.
    norm_size
        ln of the norm level after over before.
    norm_spread, loss_spread
        ln of the spread after over before.
    loss_deviations
        Change of the loss level in deviations of the noisier side.
    abruptness
        Share of the change of the norm level that happens within a fifth of the window (less what noise would): near 1 for a
        change at one row, .2 for a steady drift.
    """

    row: int
    score: float
    norm_size: float
    norm_spread: float
    loss_spread: float
    loss_deviations: float
    abruptness: float


def side_quantiles(value: NDArray[np.float64], width: int, quantile: float = 0.5) -> NDArray[np.float64]:
    """float64[2, n]: the quantile of the `width` rows before, and of those from each row on."""
    n = len(value)
    row = np.arange(n + 1)
    before = window_quantiles(value, np.maximum(row - width, 0), row, (quantile,))[0]
    # What follows a row is what comes before the row one window later; only the last rows have shorter windows.
    last = np.arange(max(n - width + 1, 0), n)
    rest = window_quantiles(value, last, np.full(len(last), n), (quantile,))[0]
    return np.stack((before[:n], np.concatenate((before[width : n + 1], rest))))


@frozen(eq=False)
class Sides:
    """What lies before and after each row of a curve, for steps up and down alike.

    Attributes
    ----------
    value
        float64[m]: the curve without its gaps, thinned to medians of `block` values.
    before, after
        float64[m]: medians of the `width` values on both sides.
    spread
        float64[m]: the local deviation.
    wander
        How many times more the level usually moves from window to window than noise without memory would move it; at least 1.
        Smoothed losses, and agents that make their own data, wander.
    wide
        Which of the two widths.
    """

    value: NDArray[np.float64]
    block: int
    width: int
    wide: bool
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    spread: NDArray[np.float64]
    wander: float


def sides_of(curve: Curve, *, wide: bool = False) -> Sides | None:
    """The sides of every row: 8 to 30 rows (a fortieth of the run), `wide` 15 to 80 (a sixteenth); None with too few."""
    value, block = _usable(curve)
    m = len(value)
    if m < MIN_ROWS:
        return None
    width = int(np.clip(m // 16, 15, 80)) if wide else int(np.clip(m // 40, 8, 30))
    before, after = side_quantiles(value, width)
    residual = np.abs(value - rolling_level(value, 2 * width + 1))
    spreads = MAD_TO_SIGMA * side_quantiles(residual, 2 * width)
    spread = np.fmax(np.fmax(spreads[0], spreads[1]), 0.25 * float(np.nanmedian(spreads)))
    spread = np.maximum(spread, MIN_DEVIATION)
    return Sides(
        value=value, block=block, width=width, wide=wide, before=before, after=after, spread=spread,
        wander=_wander(after - before, spread, width),
    )  # fmt: skip


def _wander(difference: NDArray[np.float64], spread: NDArray[np.float64], width: int) -> float:
    """How many times more the level usually moves than independent noise would move it.

    By the differences of neighbouring windows, less their trend, which is the mean of those one window earlier and later.
    """
    if len(difference) < MOVES * width:
        return 1.0
    left = difference[width:-width] - 0.5 * (difference[: -2 * width] + difference[2 * width :])
    return times_expected(left, spread[width:-width] * 1.2533 / np.sqrt(width), 5.0)


def find_step(curve: Curve, sides: Sides | None, *, up: bool, first: int) -> Step:
    """The strongest step up or down of a curve after its row `first`, from its `sides_of`.

    The medians on both sides of a row are compared. What the neighbouring windows rise or fall by in the same direction
    is a trend, and is taken off.
    """
    if sides is None:
        return NO_STEP
    value, width = sides.value, sides.width
    m = len(value)
    size = _without_trend((sides.after - sides.before) * (1 if up else -1), width)
    errors = size / (sides.spread * 1.2533 * np.sqrt(2 / width) * sides.wander)
    row = np.arange(m)
    # The wide windows must not reach back into the start-up, whose end is a change of level and noise by itself.
    begin = first // sides.block + (width if sides.wide else 0)
    errors = np.where((row >= max(width, begin)) & (row < m - width // 2), errors, 0.0)
    best = int(np.nanargmax(errors))
    if not errors[best] > 0:
        return NO_STEP
    sign = 1.0 if up else -1.0
    difference = float(size[best])
    at = _edge(value * sign, best, width)
    later = value[at + width : at + 4 * width]
    return Step(
        row=_row_of(curve, at * sides.block),
        errors=float(errors[best]),
        size=difference,
        deviations=difference / float(sides.spread[best]),
        sharpness=_jump(value * sign, at) / difference,
        abruptness=_at_once(value * sign, best, width, float(sides.spread[best])) / difference,
        lasting=float(np.median(later) - sides.before[best]) * sign / difference if len(later) else 1.0,
    )


def _without_trend(size: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Differences of sides less the smaller of those one and a half windows earlier and later, where all three agree."""
    shift = 3 * width // 2
    m = len(size)
    if m <= 2 * shift:
        return size
    earlier = np.concatenate((np.full(shift, np.inf), size[:-shift]))
    later = np.concatenate((size[shift:], np.full(shift, np.inf)))
    trend = np.minimum(earlier, later)
    trend[~np.isfinite(trend)] = 0.0
    clean: NDArray[np.float64] = size - np.clip(trend, 0.0, None)
    return clean


def find_break(loss: Curve, norm: Curve, *, first: int) -> Break | None:
    """The row at which the noise of a run changes most, after its row `first`; None with too few rows."""
    both = np.isfinite(loss.value) & np.isfinite(norm.value)
    rows = np.flatnonzero(both)
    block = max(len(rows) // MAX_ROWS, 1)
    lv, gv = loss.value[rows], norm.value[rows]
    if block > 1:
        lv, gv = lv[::block], gv[::block]
    m = len(lv)
    if m < MIN_ROWS:
        return None
    width = int(np.clip(m // 8, 15, 200))
    levels = side_quantiles(gv, width)
    loss_levels = side_quantiles(lv, width)
    short = max(width // 3, 5) | 1
    noise = [_log_spread(v, short, width) for v in (gv, lv)]
    local = np.exp(np.maximum(*noise[0]))
    error = 1.2533 * np.sqrt(2 / width)
    change = levels[1] - levels[0]
    change = np.where(change > 0, _without_trend(change, width), -_without_trend(-change, width))
    level_score = change / (np.maximum(local, MIN_DEVIATION) * error)
    # The ln of a median absolute deviation of k normal values has a standard error of about 1.17 / sqrt(k).
    spread_error = 1.17 * np.sqrt(2 / width) * 1.3
    changes = [
        np.where(c > 0, _without_trend(c, width), -_without_trend(-c, width)) for c in (n[1] - n[0] for n in noise)
    ]
    # Noise that changes with the batch moves all three the same way; a curve that drifts does not.
    score = np.abs(level_score + changes[0] / spread_error + changes[1] / spread_error) / np.sqrt(3.0)
    row = np.arange(m)
    score = np.where((row >= np.searchsorted(rows, first) // block + width) & (row < m - width), score, 0.0)
    if not np.nanmax(score) > 0:
        return None
    at = int(np.nanargmax(score))
    size = float(change[at])
    sign = 1.0 if size > 0 else -1.0
    edge = _edge(gv * sign, at, width)
    raw = float(levels[1][at] - levels[0][at]) * sign
    loss_local = float(np.exp(max(noise[1][0][at], noise[1][1][at])))
    return Break(
        row=int(rows[min(edge * block, len(rows) - 1)]),
        score=float(score[at]),
        norm_size=size,
        norm_spread=float(changes[0][at]),
        loss_spread=float(changes[1][at]),
        loss_deviations=float(loss_levels[1][at] - loss_levels[0][at]) / loss_local,
        abruptness=_at_once(gv * sign, at, width, float(local[at])) / max(raw, abs(size), 1e-12),
    )


def _at_once(value: NDArray[np.float64], at: int, width: int, noise: float) -> float:
    """The largest rise between the medians of a fifth of a window near a row, less one and a half standard errors."""
    k = max(width // 5, 6)
    low, high = max(at - width // 2 - k, 0), min(at + width // 2 + k, len(value))
    table = np.median(np.lib.stride_tricks.sliding_window_view(value[low:high], k), axis=1)
    if len(table) <= k:
        return 0.0
    return float((table[k:] - table[:-k]).max()) - 1.5 * 1.2533 * noise * float(np.sqrt(2 / k))


def _log_spread(value: NDArray[np.float64], short: int, width: int) -> NDArray[np.float64]:
    residual = np.abs(value - rolling_level(value, short))
    usual = float(np.median(residual[residual > 0])) if (residual > 0).any() else 1e-12
    sides = MAD_TO_SIGMA * side_quantiles(residual, width)
    return np.log(np.fmax(sides, 0.02 * usual))


def _usable(curve: Curve) -> tuple[NDArray[np.float64], int]:
    value = curve.value[np.isfinite(curve.value)]
    block = max(len(value) // MAX_ROWS, 1)
    return (thinned(value, MAX_ROWS) if block > 1 else value), block


def _row_of(curve: Curve, position: int) -> int:
    rows = np.flatnonzero(np.isfinite(curve.value))
    return int(rows[min(position, len(rows) - 1)])


def _edge(value: NDArray[np.float64], at: int, width: int) -> int:
    """The row near `at` with the largest rise from the triple before to the triple from it on."""
    low, high = max(at - width, 3), min(at + width, len(value) - 3)
    if low >= high:
        return at
    # The median of every triple at once: one call of numpy for each row would be half the time of a short analysis.
    part = value[low - 3 : high + 2]
    triple = np.sort(np.stack((part[:-2], part[1:-1], part[2:])), axis=0)[1]
    return low + int(np.argmax(triple[3:] - triple[:-3]))


def _jump(value: NDArray[np.float64], at: int) -> float:
    before, after = value[max(at - 3, 0) : at], value[at : at + 3]
    return float(np.median(after) - np.median(before)) if len(before) and len(after) else 0.0
