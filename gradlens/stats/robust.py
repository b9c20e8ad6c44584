"""Rolling medians and quantiles, and what is left of a curve when its level is taken out.

Training curves drift by orders of magnitude, and a drifting level looks like a heavy tail to every fit and like a spike
to every fixed rule. gradlens therefore works on *log residuals*: the logarithm of the value minus the rolling median of
that logarithm. The window is **trailing** where events are looked for, because an event must be judged by what was
known before it, and **centred** where distributions are fitted, because that follows a decay without lag.

The rolling quantiles are exact for any window. They come from a wavelet matrix (Claude, Navarro and Ordonez 2015,
Information Systems 47:15): one pass over the bits of the ranks answers the query of every window at once, so the cost
is n log n whatever the window is.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAD_TO_SIGMA = 1.4826022185056018  # 1 / quantile(.75) of the normal distribution
# Steps worked on at a time where the windows allow it: three times as fast, for they stay in the cache.
STRETCH = 1 << 15
EXACT_UP_TO = 1 << 15
# Window elements for each value of the series up to which sorting every window is faster than the wavelet matrix, and up
# to which it is not worth ranking the series first; windows of more than NETWORK values sort slowly as floats.
SORTED_PER_VALUE = 400
UNRANKED_PER_VALUE = 40
NETWORK = 256
SORTED_AT_ONCE = 200_000
MIN_USABLE, MAX_USABLE = 1e-70, 1e70
Q85_TO_SIGMA = 0.9648473410224805  # 1 / quantile(.85)


def as_series(value: object) -> NDArray[np.float64]:
    """Return a flat float64 copy-free view of anything array-like."""
    return np.asarray(value, dtype=np.float64).ravel()


def window_quantiles(
    value: NDArray[np.float64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    probabilities: Sequence[float],
    *,
    interpolate: bool = False,
) -> NDArray[np.float64]:
    """Return exact quantiles of many windows ``value[start:stop]`` of one series.

    Parameters
    ----------
    value : float64[n]
        The series. NaN and infinities are left out of every window.
    start, stop : int64[m]
        Half-open windows, ``0 <= start <= stop <= n``.
    probabilities : sequence of k floats in [0, 1]
        Quantiles wanted of each window.
    interpolate : bool
        False takes the order statistic of rank ``floor(p * (count - 1))`` (of an even count the lower median); True
        interpolates linearly between order statistics as ``numpy.percentile`` does, at twice the cost.

    Returns
    -------
    float64[k, m]
        NaN where a window holds no finite value.
    """
    finite = np.isfinite(value)
    seen = np.concatenate(([0], np.cumsum(finite)))
    kept, start, stop = value[finite], seen[start], seen[stop]
    count = stop - start
    out = np.full((len(probabilities), start.size), np.nan)
    filled = count > 0
    if not filled.any():
        return out
    start, stop, count = start[filled], stop[filled], count[filled]
    position = [p * (count - 1) for p in probabilities]
    ranks = [np.floor(q).astype(np.int64) for q in position]
    if interpolate:
        ranks += [np.minimum(rank + 1, count - 1) for rank in ranks]
    selected = np.empty((len(ranks), start.size))
    for begin, end in _stretches(start, stop):
        part = slice(begin, end)
        low, high = int(start[part].min()), int(stop[part].max())
        selected[:, part] = _order_statistics(
            kept[low:high], start[part] - low, stop[part] - low, [rank[part] for rank in ranks]
        )
    for row, q in enumerate(position):
        low = selected[row]
        if interpolate:
            share = q - np.floor(q)
            low = (1.0 - share) * low + share * selected[row + len(position)]
        out[row, filled] = low
    return out


def _order_statistics(
    value: NDArray[np.float64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    ranks: Sequence[NDArray[np.int64]],
) -> NDArray[np.float64]:
    """Return, for each array of ranks, the order statistic of that rank in every window, by the fastest of three ways."""
    count = stop - start
    width = int(count.max())
    elements = width * start.size
    if elements <= (UNRANKED_PER_VALUE if width <= NETWORK else UNRANKED_PER_VALUE // 5) * value.size:
        return np.asarray(_sort_windows(value, start, count, ranks), dtype=np.float64)
    order = np.argsort(value)
    level = np.empty(value.size, dtype=np.int32)
    level[order] = np.arange(value.size, dtype=np.int32)
    few = elements <= SORTED_PER_VALUE * value.size
    places = _sort_windows(level, start, count, ranks) if few else _select(level, start, stop, ranks)
    return np.asarray(value[order[places]])


def _sort_windows(
    value: NDArray[Any], start: NDArray[np.int64], count: NDArray[np.int64], ranks: Sequence[NDArray[np.int64]]
) -> NDArray[Any]:
    """Return the order statistics by sorting every window, which the vector units do fast while there are few.

    ``value`` holds the values (float64[n]) or, for half the time per element, their ranks (int32[n]).
    """
    width = int(count.max())
    last = np.inf if value.dtype.kind == "f" else np.iinfo(value.dtype).max
    padded = np.concatenate((value, np.full(width, last, dtype=value.dtype)))
    view = np.lib.stride_tricks.sliding_window_view(padded, width)
    found = np.empty((len(ranks), start.size), dtype=value.dtype)
    rows = max(1, SORTED_AT_ONCE // width)
    for first in range(0, start.size, rows):
        part = slice(first, first + rows)
        table = view[start[part]]
        short = np.flatnonzero(count[part] < width)
        table[short] = np.where(np.arange(width) < count[part][short, None], table[short], last)
        table.sort(axis=1)
        for row, rank in enumerate(ranks):
            found[row, part] = table[np.arange(table.shape[0]), rank[part]]
    return found


def _stretches(start: NDArray[np.int64], stop: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut the queries so that each part needs a stretch of the series that fits the cache.

    Only windows that move forward can be cut; windows that all begin at the first step, for instance, cannot.
    """
    m = start.size
    forward = bool((np.diff(start) >= 0).all())
    if not forward or int((stop - start).max()) > STRETCH // 2 or int(start[-1] - start[0]) < 2 * STRETCH:
        return [(0, m)]
    edges = np.searchsorted(start, np.arange(int(start[0]), int(start[-1]) + 1, STRETCH), side="left").tolist()
    edges = sorted({0, *edges, m})
    return list(pairwise(edges))


def _select(
    level: NDArray[np.int32],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    ranks: Sequence[NDArray[np.int64]],
) -> NDArray[np.int32]:
    """Return the order statistics of int32[n] ranks by a wavelet matrix, whose cost does not depend on the windows."""
    n = level.size
    queries = len(ranks)
    lo = np.tile(start.astype(np.int32), queries)
    hi = np.tile(stop.astype(np.int32), queries)
    rank = np.concatenate(ranks).astype(np.int32)
    found = np.zeros(rank.size, dtype=np.int32)
    zeros_before = np.zeros(n + 1, dtype=np.int32)
    for bit in reversed(range(n.bit_length())):
        zero = (level >> bit) & 1 == 0
        np.cumsum(zero, out=zeros_before[1:], dtype=np.int32)
        lo_zero, hi_zero = zeros_before[lo], zeros_before[hi]
        zeros_inside = hi_zero - lo_zero
        upper = rank >= zeros_inside
        found |= upper.astype(np.int32) << bit
        rank -= np.where(upper, zeros_inside, 0).astype(np.int32)
        lo = np.where(upper, zeros_before[n] + lo - lo_zero, lo_zero)
        hi = np.where(upper, zeros_before[n] + hi - hi_zero, hi_zero)
        if bit:
            level = np.concatenate((level[zero], level[~zero]))
    return found.reshape(queries, -1)


def rolling_median(value: NDArray[np.float64], window: int, *, centred: bool) -> NDArray[np.float64]:
    """Return the rolling median of a series.

    Parameters
    ----------
    value : float64[n]
        NaN and infinities are left out of every window.
    window : int
        Width in steps, at least 1. A centred window is clamped at both ends of the series, so it is shorter there. A
        trailing window holds the ``window`` steps *before* the current one.
    centred : bool
        Which of the two windows.

    Returns
    -------
    float64[n]
        NaN where the window holds no finite value. Even counts give the lower median.
    """
    value = as_series(value)
    start, stop = windows(value.size, window, centred=centred)
    return np.asarray(window_quantiles(value, start, stop, (0.5,))[0])


def rolling_levels(
    value: NDArray[np.float64], window: int, probabilities: Sequence[float], *, centred: bool
) -> NDArray[np.float64]:
    """Return rolling quantiles for use as a level; exact up to 32,768 steps, then refreshed every 16th of the window.

    A level cannot move faster than its window, and long series would spend most of their time here.

    Parameters
    ----------
    value : float64[n]
        NaN and infinities are left out.
    window : int
        Width in steps, see `rolling_median`.
    probabilities : sequence of k floats
        Quantiles wanted.
    centred : bool
        Centred or trailing; between two refreshments a trailing window ends up to a 16th of its width early.

    Returns
    -------
    float64[k, n]
    """
    n = value.size
    start, stop = windows(n, window, centred=centred)
    stride = _stride(n, window)
    # A centred refreshment sits in the middle of the steps that it serves, a trailing one before them.
    at = slice(stride // 2 if centred else 0, None, stride)
    quantiles = window_quantiles(value, start[at], stop[at], probabilities)
    return np.asarray(quantiles[:, np.minimum(np.arange(n) // stride, quantiles.shape[1] - 1)])


def _stride(n: int, window: int) -> int:
    """Return how many steps of a series of n share one level."""
    return 1 if n <= EXACT_UP_TO else max(1, min(window, n) // 16)


def local_level(log_value: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the level of a finite float64[n] curve for fits: a centred rolling median that does not smear over jumps.

    Near a jump of the level a centred window holds values of both sides, and the values just behind the jump would look
    like a heavy tail. Where the medians of the half-windows before and after a step differ by more than 1.5 local
    standard deviations, the level is therefore the one of the two that the median of the nine values around the step
    is closer to; and where that median itself stands more than 2 deviations off, as on a plateau shorter than the
    window, it is the level. Half of nine independent values never stand that far off together, however heavy their
    tail. Our own rule; it cut false heavy-tail verdicts on noise with level shifts from a quarter to a few percent.
    """
    centred = rolling_levels(log_value, window, (0.5,), centred=True)[0]
    half = max(window // 2, 5)
    before = rolling_levels(log_value, half, (0.5,), centred=False)[0]
    after = _from_before(before, log_value, half)
    spread = MAD_TO_SIGMA * rolling_levels(np.abs(log_value - centred), window, (0.5,), centred=True)[0]
    with np.errstate(invalid="ignore"):
        jump = np.abs(before - after) > 1.5 * spread
    here = median_of_nine(log_value)
    nearer = np.where(np.abs(here - before) <= np.abs(here - after), before, after)
    level = np.where(jump, nearer, centred)
    return np.where(np.abs(here - level) > 2.0 * spread, here, level)


def _from_before(before: NDArray[np.float64], value: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the median of the ``window`` values after every step from those before: the same windows, one window on."""
    n = value.size
    shift = window + _stride(n, window)
    last = np.arange(max(n - shift, 0), n)
    rest = window_quantiles(value, np.minimum(last + 1, n), np.minimum(last + 1 + window, n), (0.5,))[0]
    return np.concatenate((before[shift:], rest))


def median_of_nine(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centred rolling median over nine steps of a finite float64[n] series, in fewer steps at both ends.

    The nineteen exchanges of Smith (1996, Implementing median filters in XC4000E FPGAs) on nine shifted copies of the
    series take a fifth of the time of sorting every window.
    """
    n = value.size
    median = np.empty(n)
    for first in range(4, n - 4, STRETCH):
        stop = min(first + STRETCH, n - 4)
        p = list(np.lib.stride_tricks.sliding_window_view(value[first - 4 : stop + 4], 9).T)
        for low, high in _EXCHANGES:
            p[low], p[high] = np.minimum(p[low], p[high]), np.maximum(p[low], p[high])
        median[first:stop] = p[4]
    median[:4] = rolling_median(value[:8], 9, centred=True)[:4]
    median[-4:] = rolling_median(value[-8:], 9, centred=True)[-4:]
    return median


_EXCHANGES = (
    (1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3), (5, 8), (4, 7), (3, 6), (1, 4), (2, 5),
    (4, 7), (4, 2), (6, 4), (4, 2),
)  # fmt: skip


def windows(n: int, window: int, *, centred: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the half-open rolling windows of a series of n steps as two int64[n] arrays."""
    index = np.arange(n, dtype=np.int64)
    if centred:
        half = max(window, 1) // 2
        return np.maximum(index - half, 0), np.minimum(index + half + 1, n)
    return np.maximum(index - max(window, 1), 0), index


def usable_sizes(value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which values are sizes that statistics can be made of: between 1e-70 and 1e70.

    Nothing that a float32 holds lies outside, and inside no square or ratio of two overflows a float64.
    """
    return np.asarray((value > MIN_USABLE) & (value < MAX_USABLE))


def positive_sample(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the usable sizes of an array in increasing order; what is in order already is not sorted again."""
    usable = usable_sizes(value)
    return in_order(value if usable.all() else value[usable])


def in_order(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values in increasing order, the array itself where they are: checking is fifty times as fast as sorting."""
    return value if bool((value[1:] >= value[:-1]).all()) else np.sort(value)


def quantiles_in_order(ordered: NDArray[np.float64], probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return linearly interpolated quantiles, float64[k], of a float64[n] array in increasing order, n at least 1."""
    place = probabilities * (ordered.size - 1)
    low = place.astype(np.int64)
    high = np.minimum(low + 1, ordered.size - 1)
    return np.asarray(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def safe_log(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ln(value), NaN where the value is not a usable size: not finite, not positive, or beyond 1e70."""
    usable = usable_sizes(value)
    out = np.full(value.shape, np.nan)
    np.log(value, out=out, where=usable)
    return out


def log_residuals(value: NDArray[np.float64], window: int, *, centred: bool) -> NDArray[np.float64]:
    """Return ln(value) minus its rolling median: the curve with its level taken out.

    Parameters
    ----------
    value : float64[n]
        A positive curve.
    window : int
        Width of the median in steps, see `rolling_median`.
    centred : bool
        Centred for fits, trailing for events.

    Returns
    -------
    float64[n]
        ``exp`` of it is the ratio of each value to the level around (or before) it. NaN where the value is not finite
        or not positive, and at the first step of a trailing window.
    """
    log_value = safe_log(as_series(value))
    return np.asarray(log_value - rolling_median(log_value, window, centred=centred))


def detrending_window(n: int) -> int:
    """Return the width of the centred median used before fits: 5 % of the run, odd, between 25 and 501 steps.

    Our own choice. Narrow enough to follow a decay and a level shift, wide enough that the median itself adds little
    noise: its variance is about 1.6 / window that of the data.
    """
    return int(min(max(n // 20, 25), 501)) | 1


@frozen(eq=False)
class RollingMoments:
    """Mean and standard deviation of the values before (or up to) each step.

    Attributes
    ----------
    mean, deviation : float64[n]
        NaN where fewer than ``min_count`` values are in the window, or a value in it is NaN.
    count : int64[n]
        Values in the window.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    count: NDArray[np.int64]


def rolling_moments(
    value: NDArray[np.float64],
    window: int,
    *,
    include_current: bool,
    ddof: int,
    min_count: int,
    weight: NDArray[np.float64] | None = None,
) -> RollingMoments:
    """Return the rolling mean and standard deviation, free of the cancellation of running sums.

    Each window is the end of one block of ``window`` values and the start of the next, so its sums are one suffix sum
    plus one prefix sum (the scheme of van Herk 1992 for rolling maxima). A huge value is therefore forgotten exactly
    when it leaves the window, and a NaN poisons exactly the windows that hold it.

    Parameters
    ----------
    value : float64[n]
        The series; not-finite values poison their windows unless their weight is 0.
    window : int
        Width in steps, at least 1.
    include_current : bool
        Whether the window ends at the current step or just before it.
    ddof : int
        0 for the population deviation, 1 for the unbiased one.
    min_count : int
        Values a window must hold.
    weight : float64[n], optional
        1 for values that count, 0 for values that are left out.
    """
    counted = np.ones(value.size, dtype=np.bool_) if weight is None else weight > 0.0
    known = np.isfinite(value)
    finite = value[counted & known]
    centre = float(np.median(finite)) if finite.size else 0.0
    # In units of the largest deviation no square overflows or vanishes.
    scale = float(np.abs(finite - centre).max(initial=0.0)) or 1.0
    shifted = np.where(counted, np.where(known, (value - centre) / scale, np.nan), 0.0)
    count, total, squares = (
        _trailing_sum(part, window, include_current=include_current)
        for part in (counted.astype(np.float64), shifted, shifted * shifted)
    )
    usable = count >= max(min_count, ddof + 1)
    divisor = np.maximum(count, 1.0)
    mean = total / divisor
    variance = np.maximum(squares - total * mean, 0.0) / np.maximum(count - ddof, 1.0)
    # What is left of a constant window is rounding, not spread.
    variance[variance < 1e-14 * squares / divisor] = 0.0
    return RollingMoments(
        mean=np.where(usable, centre + scale * mean, np.nan),
        deviation=np.where(usable, scale * np.sqrt(variance), np.nan),
        count=count.astype(np.int64),
    )


def _trailing_sum(value: NDArray[np.float64], window: int, *, include_current: bool) -> NDArray[np.float64]:
    """Return the sum over the last ``window`` values by block prefix and suffix sums."""
    n = value.size
    window = max(min(window, n), 1)
    blocks = -(-n // window) + 1
    padded = np.zeros(blocks * window)
    padded[:n] = value
    table = padded.reshape(blocks, window)
    prefix = np.cumsum(table, axis=1).ravel()
    suffix = np.cumsum(table[:, ::-1], axis=1)[:, ::-1].ravel()
    ending = prefix[:n].copy()
    # A window that starts inside the block before needs that block's tail; one that fills its block is complete.
    whole = ending[window - 1 :: window].copy()
    ending[window:] += suffix[1 : n - window + 1]
    ending[window - 1 :: window] = whole
    return ending if include_current else np.concatenate(([0.0], ending[:-1]))
