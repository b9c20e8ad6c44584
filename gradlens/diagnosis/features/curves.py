"""Curves with their level and spread taken out, in a form that costs little for any length.

Everything here is free of scale: loss and norm are measured on the log scale, or, where a loss takes negative values, in
units of its own spread. Windows are counted in rows and grow with the run up to a limit, so that a log of every second
step gives nearly the same figures as the whole one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.robust import MAD_TO_SIGMA, Q85_TO_SIGMA, window_quantiles, windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows up to which levels are exact rolling medians; beyond, medians of blocks are joined by straight lines.
EXACT_ROWS = 20_000
#: Share of values that may be non-positive for a curve to be measured on the log scale.
NONPOSITIVE = 0.01
#: How many times its usual size around there a local deviation may be, and over how many windows "around" reaches. Our own.
BURST_FACTOR, WIDE = 2.0, 5
#: Share of neighbouring values that are equal from which a curve is rounded. Our own choice.
MIN_EQUAL = 0.05


@frozen(eq=False)
class Curve:
    """One logged quantity, ready to be judged.

    Attributes
    ----------
    raw
        float64[n], as logged.
    value
        float64[n]: ln of it, or, for curves that take negative values, the value in units of its local spread.
        NaN where it is not finite (or not positive on the log scale).
    level
        float64[n]: the centred rolling median.
    spread
        float64[n]: the local standard deviation of the residuals by their median absolute size, never below a quarter
        of the usual one.
    upper
        float64[n]: the same from the upper 15 % quantile, for curves that are skewed low.
    logarithmic
        Which of the two scales.
    unit
        What one unit of `value` is as logged: 1 on the log scale.
    """

    raw: NDArray[np.float64]
    value: NDArray[np.float64]
    level: NDArray[np.float64]
    spread: NDArray[np.float64]
    upper: NDArray[np.float64]
    logarithmic: bool
    unit: float

    @property
    def excess(self) -> NDArray[np.float64]:
        """float64[n]: distance from the level as logged."""
        if self.logarithmic:
            return self.raw - np.exp(self.level)
        return (self.value - self.level) * self.unit

    @property
    def z(self) -> NDArray[np.float64]:
        """float64[n]: distance from the level in spreads, the larger of the two spreads."""
        return (self.value - self.level) / np.maximum(self.spread, self.upper)


def curve_of(raw: NDArray[np.float64], window: int, *, floor: float = 0.0) -> Curve:
    """The curve of a logged quantity, float64[n], with a centred window of that many rows.

    On the log scale, values below `floor` times the first one count as that much.
    """
    finite = np.isfinite(raw)
    positive = finite & (raw > 0)
    count = int(finite.sum())
    logarithmic = count > 0 and int(positive.sum()) >= (1 - NONPOSITIVE) * count
    value = np.full(len(raw), np.nan)
    if logarithmic:
        np.log(raw, out=value, where=positive)
        if floor > 0:
            np.maximum(value, np.log(floor) + value[np.argmax(positive)], out=value)
    else:
        value[finite] = raw[finite]
    level, spread, upper = _level_and_spread(value, window)
    step = rounding_step(raw[finite])
    if step > 0:
        least = step / np.exp(level) if logarithmic else step
        spread, upper = np.fmax(spread, least), np.fmax(upper, least)
    unit = 1.0
    if not logarithmic and count:
        unit = float(np.nanmedian(spread)) or 1.0
        value, level, spread, upper = value / unit, level / unit, spread / unit, upper / unit
    return Curve(raw=raw, value=value, level=level, spread=spread, upper=upper, logarithmic=logarithmic, unit=unit)


def smoothed(curve: Curve, rows: int, window: int) -> Curve:
    """The medians of `rows` neighbouring rows of a curve as a separate curve, with a centred window for its level.

    Its spread is that of the medians themselves, so that noise which lasts for several rows counts as what it is.
    """
    value = rolling_level(curve.value, rows)
    level, spread, upper = _level_and_spread(value, window)
    return replace(curve, value=value, level=level, spread=spread, upper=upper)


def _level_and_spread(
    value: NDArray[np.float64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    level = rolling_level(value, window)
    residual = value - level
    spread = MAD_TO_SIGMA * rolling_level(np.abs(residual), window)
    upper = Q85_TO_SIGMA * rolling_level(residual, window, 0.85)
    return level, _floored(_unburst(spread, window)), _floored(_unburst(upper, window))


def _unburst(spread: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """A local deviation, at most `BURST_FACTOR` times its median over a window five times as wide.

    A burst that fills a seventh of the window raises the quantile that is meant to measure the noise around it, and would
    then pass for noise itself. Noise that really grows does so for longer than a window.
    """
    if len(spread) < 3 * window:
        known = spread[np.isfinite(spread)]
        wide: NDArray[np.float64] | float = float(np.median(known)) if len(known) else np.inf
    else:
        wide = rolling_level(spread, WIDE * window | 1)
    return np.fmin(spread, BURST_FACTOR * np.where(np.asarray(wide) > 0, wide, np.inf))


def _floored(spread: NDArray[np.float64]) -> NDArray[np.float64]:
    known = spread[np.isfinite(spread) & (spread > 0)]
    # Rounded logs have windows without any spread; a quarter of the usual one stands in for it.
    floor = 0.25 * float(np.median(known)) if len(known) else 1e-9
    return np.fmax(spread, max(floor, 1e-12))


def rolling_level(value: NDArray[np.float64], window: int, quantile: float = 0.5) -> NDArray[np.float64]:
    """The centred rolling quantile of float64[n]; beyond `EXACT_ROWS`, that of blocks joined by straight lines."""
    n = len(value)
    if n <= EXACT_ROWS:
        start, stop = windows(n, window, centred=True)
        rolled: NDArray[np.float64] = window_quantiles(value, start, stop, (quantile,))[0]
        return rolled
    blocks = n // window
    table = value[: blocks * window].reshape(blocks, window)
    known = np.isfinite(table).any(axis=1)
    if not known.any():
        return np.full(n, np.nan)
    level = np.full(blocks, np.nan)
    dense = np.isfinite(table).all(axis=1)
    level[dense] = row_quantiles(table if dense.all() else table[dense], quantile)
    for row in np.flatnonzero(known & ~dense):
        level[row] = np.nanquantile(table[row], quantile)
    centres = (np.arange(blocks) + 0.5) * window
    joined: NDArray[np.float64] = np.interp(np.arange(n), centres[known], level[known])
    return joined


def block_medians(value: NDArray[np.float64], blocks: int) -> NDArray[np.float64]:
    """float64[blocks]: the medians of float64[n] cut into blocks of nearly equal length; n must not be below the number of blocks."""
    return np.array([float(np.median(part)) for part in np.array_split(value, blocks)])


def after_last(is_so: NDArray[np.bool_]) -> int:
    """The row after the last one of bool[n] where it is so: 0 where none is, n - 1 where the last one is."""
    rows = np.flatnonzero(is_so)
    return min(int(rows[-1]) + 1, len(is_so) - 1) if len(rows) else 0


def row_quantiles(table: NDArray[np.float64], quantile: float) -> NDArray[np.float64]:
    """The quantile of every row of a finite float64[m, w]: that of `np.quantile`, the median that of `np.median`, fast on short rows."""
    place = quantile * (table.shape[1] - 1)
    low = int(place)
    if place - low not in {0.0, 0.5}:
        return np.asarray(np.quantile(table, quantile, axis=1))
    ordered = np.partition(table, low, axis=1)
    if place == low:
        return ordered[:, low]
    return np.asarray((ordered[:, low] + ordered[:, low + 1 :].min(axis=1)) / 2.0)


def window_of(n: int) -> int:
    """Rows of the centred window that levels are taken from: 5 % of the run, odd, 15 to 101."""
    return int(np.clip(n // 20, 15, 101)) | 1


def thinned(value: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """A curve in at most about that many rows: medians of equal blocks, the curve itself where it is short enough."""
    n = len(value)
    block = n // rows
    if block < 2:
        return value
    table = value[: n // block * block].reshape(-1, block)
    out = np.full(len(table), np.nan)
    finite = np.isfinite(table)
    dense, known = finite.all(axis=1), finite.any(axis=1)
    out[dense] = row_quantiles(table if dense.all() else table[dense], 0.5)
    out[known & ~dense] = np.nanmedian(table[known & ~dense], axis=1)
    return out


def times_expected(moves: NDArray[np.float64], error: NDArray[np.float64], variance: float) -> float:
    """How many times more a level usually moves than its standard error says; at least 1.

    `moves` are differences of neighbouring windows without their trend, which have `variance` times the variance of a level
    where the noise is independent. Smoothed losses, and agents that make their own data, wander. Half of the rows decide, so
    that a step or the start do not count.
    """
    return max(1.0, float(np.nanmedian(np.abs(moves) / error)) * MAD_TO_SIGMA / float(np.sqrt(variance)))


def neighbour_noise(value: NDArray[np.float64]) -> float:
    """Standard deviation of the noise of a slowly moving curve, from the median size of its first differences.

    At least the step to which the values are rounded: half of the differences of a rounded curve may be 0.
    """
    if len(value) < 2:
        return 0.0
    return max(float(np.median(np.abs(np.diff(value)))) / 0.9539, rounding_step(value))


def rounding_step(value: NDArray[np.float64]) -> float:
    """The step to which finite values are rounded: their smallest difference, where neighbours are often equal; 0 otherwise."""
    size, larger = np.abs(np.diff(value)), np.maximum(np.abs(value[1:]), np.abs(value[:-1]))
    # What is left of a difference of equal decimals in binary is not a step.
    differs = size > 1e-9 * larger
    if not differs.any() or float(np.mean(differs)) > 1.0 - MIN_EQUAL:
        return 0.0
    return float(size[differs].min())
