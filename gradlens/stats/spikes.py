"""Spikes: values far above their recent level, with a controlled number of false alarms.

**Our definition.** Take the logarithm of the curve; from the 128 steps *before* the current one take the median and the
distance from the median to the 85 % quantile (over 1.036, the standard deviation of normal noise). z is the distance of
the current value above that median in units of that spread. The upper spread is used because curves that are skewed low
would otherwise hide their spikes. A value is a spike if z passes a limit that this curve's own noise would pass, by
chance, half a time per run.

**The limit.** Sigma rules are not calibrated: at 6 sigma Gaussian noise gives 1e-9 false alarms per step and Student t3
noise 1e-3. The limit is therefore extrapolated from the upper tail of the z-values of the same run by a generalized
Pareto tail whose top 15 % are only counted, not measured (type-II censoring). Real spikes sit in that top part, so they
hardly raise the limit that is meant to find them. The tail index found at this moderate height is too low for the
height it is needed at, for Gaussian and Student t noise alike by about .1; that much is added, and half a standard
error, so that uncertainty costs detection rather than false alarms. In short runs the index is drawn towards .1.

**Beside it**: the spike score of OLMo 2 (`olmo_spike_score`), and values that are not finite, counted separately
(`find_nonfinite`): they are never spikes and never enter a window.

Window, quantile, censoring and the half false alarm are our own, tuned with ``benchmarks/calibration.py``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.gpd import reach
from gradlens.stats.robust import MAX_USABLE, Q85_TO_SIGMA, as_series, rolling_levels, rolling_moments, safe_log

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = 128
MIN_WINDOW = 16
GAP = 10
FALSE_ALARMS = 0.5
MIN_Z = 4.0
TAIL_SHARE = 0.10
CENSORED_SHARE = 0.15
CAUTION = 0.5
INDEX_BIAS = 0.10
PRIOR_INDEX, PRIOR_DEVIATION = 0.10, 0.20
MIN_INDEX = -0.10
NONPOSITIVE_SHARE = 0.01
#: What lasts: rows on end at such a z, one of them at the other.
LASTS_ROWS, LASTS_Z, PEAK_Z = 3, 4.0, 8.0


@frozen(eq=False)
class Spike:
    """One event: values above the limit, merged over gaps of at most 10 steps.

    Attributes
    ----------
    index : int
        Position of the onset.
    value, z : float
        The largest value and its z.
    level : float
        What the curve stood at before the onset.
    size : float
        value / level (value - level for curves with negative values).
    length : int
        Steps from the onset until the curve is back, or until the next spike or the end if it is not.
    recovery : int or None
        Position of the first step back below half the limit above the level before the onset, for two of three steps;
        None if the curve did not come back within the window: then it is a shift of level rather than a spike.
    """

    index: int
    value: float
    z: float
    level: float
    size: float
    length: int
    recovery: int | None


@frozen(eq=False)
class NonFiniteRun:
    """Consecutive NaN or infinite values.

    Attributes
    ----------
    index, length : int
        First position and number of steps.
    kind : str
        ``nan``, ``inf`` or ``mixed``.
    """

    index: int
    length: int
    kind: str


@frozen(eq=False)
class SpikeTable:
    """The spikes of one curve.

    Attributes
    ----------
    spikes : tuple of Spike
        In order.
    nonfinite : tuple of NonFiniteRun
        Values that are not finite, counted separately.
    z_limit : float or None
        Limit on z that was used; None if the curve could not be judged.
    expected_false_alarms : float
        Steps of this run that its own noise would put above the limit by chance.
    score : float or None
        OLMo 2 spike score of the curve.
    judged : int
        Steps that had enough before them to be judged.
    scale : str
        ``log``, or ``linear`` for curves where more than 1 % of the values are not positive.
    reason : str or None
        Why nothing was judged.
    """

    spikes: tuple[Spike, ...]
    nonfinite: tuple[NonFiniteRun, ...]
    z_limit: float | None
    expected_false_alarms: float
    score: float | None
    judged: int
    scale: str
    reason: str | None = None


@frozen(eq=False)
class SpikeScores:
    """z-value of every step.

    Attributes
    ----------
    z : float64[n]
        NaN where a step could not be judged.
    curve, level, spread : float64[n]
        The curve on the scale judged (its logarithm, usually), its trailing median and trailing upper spread.
    scale : str
        ``log`` or ``linear``.
    """

    z: NDArray[np.float64]
    curve: NDArray[np.float64]
    level: NDArray[np.float64]
    spread: NDArray[np.float64]
    scale: str


def find_spikes(
    value: NDArray[np.float64],
    *,
    warmup_end: int = 0,
    window: int = WINDOW,
    false_alarms: float = FALSE_ALARMS,
) -> SpikeTable:
    """Find the spikes of one curve.

    Parameters
    ----------
    value : float64[n]
        Loss or gradient norm in order; NaN and infinities are counted separately.
    warmup_end : int
        Steps before this position are not judged, but fill the windows of later ones.
    window : int
        Steps before the current one that its level is taken from.
    false_alarms : float
        False alarms to expect in a run of this length.

    Returns
    -------
    SpikeTable
        With a ``reason`` and no spikes where fewer than 40 steps can be judged or the curve is constant.
    """
    value = as_series(value)
    nonfinite = find_nonfinite(value)
    score = olmo_spike_score(value)
    scores = spike_scores(value, window=window)
    judged = np.isfinite(scores.z)
    judged[: max(warmup_end, 0)] = False
    count = int(judged.sum())
    reason = None
    if count < 40:
        reason = f"only {count} steps can be judged, 40 needed"
    elif not np.any(scores.z[judged] != 0.0):
        reason = "the curve is constant"
    if reason is not None:
        return SpikeTable(
            spikes=(), nonfinite=nonfinite, z_limit=None, expected_false_alarms=0.0, score=score,
            judged=count, scale=scores.scale, reason=reason,
        )  # fmt: skip
    z = np.where(judged, scores.z, -np.inf)
    limit, _ = z_limit(_once_each(z[judged]), false_alarms)
    return SpikeTable(
        spikes=tuple(_events(value, scores, z, limit, window)),
        nonfinite=nonfinite,
        z_limit=limit,
        expected_false_alarms=false_alarms,
        score=score,
        judged=count,
        scale=scores.scale,
    )


def spike_scores(value: NDArray[np.float64], *, window: int = WINDOW) -> SpikeScores:
    """Return how far every step stands above the steps before it.

    Parameters
    ----------
    value : float64[n]
        The curve; values that are not finite (or not positive, on the log scale) get no z and enter no window.
    window : int
        Steps before the current one; shorter at the start of the run, at least 16.
    """
    finite = np.isfinite(value)
    logarithmic = np.count_nonzero(value[finite] <= 0.0) <= NONPOSITIVE_SHARE * np.count_nonzero(finite)
    curve = np.where(finite, value, np.nan)
    if logarithmic:
        # A value too large for any sum of squares is the largest spike there is, and its logarithm is a number like others.
        huge = finite & (value >= MAX_USABLE)
        curve = safe_log(value)
        curve[huge] = np.log(value[huge])
    level, upper = rolling_levels(curve, window, (0.5, 0.85), centred=False)
    level[:MIN_WINDOW] = np.nan
    with np.errstate(invalid="ignore", over="ignore"):
        spread = Q85_TO_SIGMA * (upper - level)
        positive = spread[np.isfinite(spread) & (spread > 0.0)]
        # Rounded logs have windows without any spread; a quarter of the usual one stands in for it.
        usual = float(np.median(positive)) if positive.size else 0.0
        spread = np.maximum(spread, max(0.25 * usual, 1e-12))
        z = (curve - level) / spread
    return SpikeScores(z=z, curve=curve, level=level, spread=spread, scale="log" if logarithmic else "linear")


def _once_each(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The z-values with events that last counted once, by their largest value.

    The rows over which a spike decays are not noise: left in, nine spikes of ten rows fill the part of the tail that is
    censored, and the limit rises above what it is meant to find. An event is three rows and more on end above 4 of which one
    passes 8, which noise without memory hardly ever makes.
    """
    hits = np.flatnonzero(z > LASTS_Z)
    keep = np.ones(z.size, dtype=np.bool_)
    for run in np.split(hits, np.flatnonzero(np.diff(hits) > 2) + 1):
        if run.size >= LASTS_ROWS and z[run].max() > PEAK_Z:
            keep[run] = False
            keep[run[int(np.argmax(z[run]))]] = True
    return z[keep]


def z_limit(z: NDArray[np.float64], false_alarms: float) -> tuple[float, float]:
    """Return the z that the noise of this run passes ``false_alarms`` times in it, and the tail index used.

    Parameters
    ----------
    z : float64[n]
        Finite z-values, at least 40.
    false_alarms : float
        Exceedances to expect by chance among them.
    """
    n = z.size
    # A tenth; of more than 20,000 values as many as grow with the root of their number.
    above = max(int(min(TAIL_SHARE * n, math.sqrt(200.0 * n))), 20)
    censored = int(CENSORED_SHARE * above)
    top = np.sort(np.partition(z, n - above - 1)[n - above - 1 :])
    start = float(top[0])
    excess = top[1:] - start
    sigma, xi, error = _censored_tail(excess[: above - censored], float(excess[above - censored - 1]), censored)
    trust = PRIOR_DEVIATION**2 / (PRIOR_DEVIATION**2 + error**2)
    xi = trust * xi + (1.0 - trust) * PRIOR_INDEX
    xi = max(xi + INDEX_BIAS + CAUTION * error * math.sqrt(trust), MIN_INDEX)
    return max(start + sigma * reach(xi, math.log(above / false_alarms)), MIN_Z), xi


def _censored_tail(excess: NDArray[np.float64], cut: float, censored: int) -> tuple[float, float, float]:
    """Fit a generalized Pareto tail to excesses of which the largest are only known to pass ``cut``.

    Returns sigma, xi and the standard error of xi. For given xi / sigma = theta the likelihood has its maximum in xi in
    closed form, so a fine grid of theta is searched.
    """
    seen = excess.size
    if not cut > 0.0:
        return 1e-9, 0.0, 0.0
    scaled = excess / cut
    theta = np.concatenate((-np.geomspace(0.9, 1e-3, 40), np.geomspace(1e-3, 60.0, 120)))
    logs = np.log1p(theta[:, None] * scaled).sum(axis=1)
    ends = np.log1p(theta)
    xi = (logs + censored * ends) / seen
    # -loglik = seen ln sigma + (1 + 1/xi) sum ln(1 + theta y) + censored / xi ln(1 + theta cut), sigma = xi / theta
    loss = seen * np.log(xi / theta) + logs + seen
    best = int(np.argmin(loss))
    shape = float(xi[best])
    return float(xi[best] / theta[best]) * cut, shape, 1.5 * (1.0 + max(shape, 0.0)) / math.sqrt(seen)


def _events(
    value: NDArray[np.float64], scores: SpikeScores, z: NDArray[np.float64], limit: float, window: int
) -> list[Spike]:
    """Merge the steps above the limit into events and measure each."""
    hits = np.flatnonzero(z > limit)
    if hits.size == 0:
        return []
    runs = np.split(hits, np.flatnonzero(np.diff(hits) > GAP) + 1)
    found = []
    for run, later in zip(runs, [*(int(r[0]) for r in runs[1:]), value.size], strict=True):
        begin, end = int(run[0]), int(run[-1])
        level = float(scores.level[begin])
        horizon = min(begin + window, later)
        bound = 0.5 * limit * float(scores.spread[begin])
        after = scores.curve[begin + 1 : horizon] - level < bound
        recovery = _first_settled(after, begin + 1)
        peak = begin + int(np.argmax(z[begin : end + 1]))
        reference = math.exp(level) if scores.scale == "log" else level
        found.append(
            Spike(
                index=begin,
                value=float(value[peak]),
                z=float(scores.z[peak]),
                level=reference,
                size=float(value[peak]) / reference if scores.scale == "log" else float(value[peak]) - reference,
                length=(horizon if recovery is None else recovery) - begin,
                recovery=recovery,
            )
        )
    return found


def _first_settled(back: NDArray[np.bool_], offset: int) -> int | None:
    """Return the first position that is back and stays so for two of three steps."""
    padded = np.concatenate((back, back[-1:], back[-1:])).astype(np.int64)
    settled = np.flatnonzero(back & (padded[:-2] + padded[1:-1] + padded[2:] >= 2))
    return int(settled[0]) + offset if settled.size else None


def stretches_of(which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return int64[k, 2]: where each stretch of `True` in bool[n] begins and where the next `False` is, in order.

    >>> stretches_of(np.array([True, False, True, True])).tolist()
    [[0, 1], [2, 4]]
    """
    padded = np.concatenate(([False], which, [False])).astype(np.int8)
    return np.flatnonzero(np.diff(padded)).reshape(-1, 2)


def find_nonfinite(value: NDArray[np.float64]) -> tuple[NonFiniteRun, ...]:
    """Return the stretches of NaN and infinite values of a float64[n] curve, in order."""
    value = as_series(value)
    bad = ~np.isfinite(value)
    found = []
    for begin, end in stretches_of(bad).tolist():
        nan = int(np.isnan(value[begin:end]).sum())
        kind = "nan" if nan == end - begin else "inf" if nan == 0 else "mixed"
        found.append(NonFiniteRun(index=begin, length=end - begin, kind=kind))
    return tuple(found)


def olmo_flags(
    value: NDArray[np.float64],
    *,
    window: int = 1000,
    sigmas: float = 7.0,
    min_count: int = 50,
) -> NDArray[np.bool_]:
    """Mark the values at least 7 standard deviations from a rolling average of the last 1,000.

    The OLMo 2 report leaves details open. Ours: deviations on both sides count, the window holds the values before the
    current one, the deviation is the unbiased one, 50 values are needed before the first judgement (a window that holds
    the point itself could not reach 7 sigma below 50 either), and values that are not finite are never flagged and
    leave the window. Flagged values stay in later windows, as in the report's wording; one spike then inflates the
    deviation and can hide the next.

    Parameters
    ----------
    value : float64[n]
        The curve.

    Returns
    -------
    bool[n]
    """
    value = as_series(value)
    finite = np.isfinite(value) & (np.abs(value) < 1e150)  # squares of larger values overflow
    clean = np.where(finite, value, 0.0)
    weight = None if finite.all() else finite.astype(np.float64)
    moments = rolling_moments(clean, window, include_current=False, ddof=1, min_count=min_count, weight=weight)
    with np.errstate(invalid="ignore"):
        # A constant window has no deviation to count in; whatever leaves it is not a matter of sigmas.
        found = finite & (moments.deviation > 0.0) & (np.abs(clean - moments.mean) >= sigmas * moments.deviation)
    return np.asarray(found)


def olmo_spike_score(value: NDArray[np.float64]) -> float | None:
    """Return the share of values that `olmo_flags` marks, the OLMo 2 spike score; None without finite values.

    OLMo 2 technical report (2025), section on training stability.
    """
    value = as_series(value)
    finite = int(np.isfinite(value).sum())
    return float(np.count_nonzero(olmo_flags(value))) / finite if finite else None
