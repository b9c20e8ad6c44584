"""Suggesting a clipping threshold from logged norms, with its uncertainty, or saying why not.

**Rule.** C = current level x upper quantile of the detrended ratio. The level is the median of the norms over the last
window of the run; the ratio is each norm over the level around it, after the warm-up (`gradlens.stats.robust`). So the
threshold belongs to where the run is now, and the quantile to how its norms scatter.

**Modes.** ``safety_net`` takes the 99 % quantile: it touches about one step in a hundred and is there for spikes.
``step_limiter`` takes the 90 % quantile, the Google tuning playbook's start: it clips one step in ten by construction.
A target clip rate r asks for the quantile 1 - r instead.

**Interval.** 95 % percentile interval of the stationary bootstrap (Politis and Romano 1994) with the block length of
Politis and White; the ratios and the last window are redrawn separately. Where fewer than 10 values lie above the quantile it comes
from a generalized Pareto tail over the 90 % quantile, with its profile-likelihood interval.

**Realised rate.** The threshold is meant for where the run is now, so it is checked against the latest half of the norms used, at
least 200 of them. The level at the end may be that of an unusual moment, and the noise need not be in proportion to the level.
Where level times quantile would clip less than a third of what is promised there, or more than three times as much, the quantile
of those latest norms themselves is suggested; up to nine times as much may come in a few bursts, which is what a threshold is for.
Where the quantile spares one half of them, the latest quarter takes their place; where it does there too, no fixed threshold does what
is promised.

**Abstaining.** Fewer than 200 usable norms, or a level that still drifts more than twofold, support no fixed number;
then the result names the reason and a moving policy is the better advice. A run whose level settles keeps its settled
part: the latest stretch over which the level stays within twofold is used, if it holds 200 norms and at least a quarter
of the run. Norms of which no fixed threshold clips the promised share support none, nor do norms logged after clipping or with the
loss scale in them; the latter is for the caller to know.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.coincidence import decluster, sign_test
from gradlens.stats.dependence import block_length, stationary_bootstrap
from gradlens.stats.gpd import tail_quantile
from gradlens.stats.robust import as_series, detrending_window, local_level, safe_log

if TYPE_CHECKING:
    from numpy.typing import NDArray

Mode = Literal["safety_net", "step_limiter"]
QUANTILES: dict[Mode, float] = {"safety_net": 0.99, "step_limiter": 0.90}
MIN_NORMS = 200
MAX_DRIFT = 2.0
SETTLED_SHARE = 0.25
MIN_ABOVE = 10
TAIL_FROM = 0.90
MAX_STEPS = 20_000  # the bootstrap looks at the latest steps only; they are what the threshold is for
BLOCKS = 20
#: The latest parts of the norms used, which the realised rate is taken over, each with the p-value up to which exceedances on
#: one half of them count as drift: the second, used where the first drifts, is judged strictly. Our own choice.
LATEST = ((0.5, 0.01), (0.25, 1.0))
#: A realised rate within this factor is about the promised one. Our own choice.
ABOUT = 3.0
_TIE = 1e-9  # logarithms of equal norms differ by their rounding


@frozen(eq=False)
class SuggestedLevel:
    """A threshold with its interval, or the reason for giving none.

    Attributes
    ----------
    value : float or None
        The threshold; None where it abstains.
    interval : tuple of float or None
        95 % interval.
    abstained : str or None
        Why no number is given.
    drift : float or None
        Largest over smallest level of the part used (of all of it, where it abstains).
    level : float or None
        Current level: median norm of the last window.
    quantile : float
        Quantile of the ratio that was asked for.
    ratio : float or None
        That quantile: how many times the level the threshold is.
    first : int
        Position of the first step used.
    n : int
        Norms used.
    latest : int
        Position of the first of the latest norms, which the realised rate is taken over.
    method : str
        ``bootstrap``, ``pareto_tail``, or ``latest_norms`` where the quantile is that of the latest norms themselves.
    """

    value: float | None
    interval: tuple[float, float] | None
    abstained: str | None
    drift: float | None
    level: float | None
    quantile: float
    ratio: float | None
    first: int
    n: int
    latest: int
    method: str


def suggest_level(
    norm: NDArray[np.float64],
    *,
    mode: Mode = "safety_net",
    quantile: float | None = None,
    target_clip_rate: float | None = None,
    warmup_end: int = 0,
    draws: int = 200,
    seed: int = 0,
) -> SuggestedLevel:
    """Suggest a clipping threshold.

    Parameters
    ----------
    norm : float64[n]
        Norms before clipping, in order; values that are not finite or not positive are left out.
    mode : str
        ``safety_net`` or ``step_limiter``.
    quantile : float, optional
        Quantile of the ratio in place of the mode's.
    target_clip_rate : float, optional
        Share of steps to clip; asks for the quantile 1 - rate.
    warmup_end : int
        First position used.
    draws : int
        Bootstrap draws.
    seed : int
        Of the bootstrap.

    Returns
    -------
    SuggestedLevel
        Scaling all norms scales the threshold and its interval.

    Raises
    ------
    ValueError
        For a quantile or rate that is not strictly between 0 and 1: that is a mistake of the caller, not of the data.
    """
    wanted = (
        1.0 - target_clip_rate if target_clip_rate is not None else QUANTILES[mode] if quantile is None else quantile
    )
    if not 0.0 < wanted < 1.0:
        raise ValueError(f"a quantile must lie strictly between 0 and 1, not {wanted}")
    series = as_series(norm)
    log_norm = safe_log(series)
    log_norm[: max(warmup_end, 0)] = np.nan
    position = np.flatnonzero(np.isfinite(log_norm))
    log_norm = log_norm[position]
    if log_norm.size < MIN_NORMS:
        return _abstain(
            f"only {log_norm.size} usable norms after the warm-up, {MIN_NORMS} needed"
            if np.isfinite(series).any()
            else "the log has no finite gradient norm",
            wanted,
            None,
            log_norm.size,
            position,
        )
    start, drift, total_drift = settled_part(log_norm)
    if start is None:
        return _abstain(
            f"the level of the norms drifts {total_drift:.1f}-fold, more than twofold, so no fixed threshold fits; use a moving one",
            wanted, total_drift, log_norm.size, position,
        )  # fmt: skip
    start = max(start, log_norm.size - MAX_STEPS)
    used = log_norm[start:]
    window = detrending_window(used.size)
    # Equal norms must stay equal: the rounding of their logarithms, which depends on the scale, would split ties at a quantile.
    residual = np.round(used - local_level(used, window), 10)
    level = float(np.median(used[-window:]))
    reach = float(np.quantile(residual, wanted))
    centre, method = level + reach, "bootstrap"
    interval = _bootstrap_interval(used, residual, window, wanted, draws, np.random.default_rng(seed))
    if residual.size * (1.0 - wanted) < MIN_ABOVE:
        ratios = np.exp(residual)
        threshold = float(np.quantile(ratios, TAIL_FROM))
        tail = tail_quantile(ratios[ratios > threshold] - threshold, threshold, ratios.size, wanted)
        if tail is not None:
            reach, method = math.log(tail.value), "pareto_tail"
            centre = level + reach
            interval = (level + math.log(tail.interval[0]), level + math.log(tail.interval[1]))
    latest, own = _checked_against_latest(used, centre, wanted)
    if own is None:
        return _abstain(
            f"no fixed threshold clips about {100 * (1 - wanted):.3g} % of both halves of the latest {latest.size:,} norms; "
            "use a moving one",
            wanted, drift, log_norm.size, position,
        )  # fmt: skip
    if own != centre:
        centre, method = own, "latest_norms"
        again = _resampled_quantile(latest, wanted, _draws(draws, latest.size), np.random.default_rng(seed))
        interval = (float(np.quantile(again, 0.025)), float(np.quantile(again, 0.975)))
    return SuggestedLevel(
        value=math.exp(centre), interval=(math.exp(min(interval[0], centre)), math.exp(max(interval[1], centre))),
        abstained=None, drift=drift, level=math.exp(level), quantile=wanted, ratio=math.exp(centre - level),
        first=int(position[start]), n=int(used.size), latest=int(position[position.size - latest.size]), method=method,
    )  # fmt: skip


def _checked_against_latest(
    used: NDArray[np.float64], centre: float, wanted: float
) -> tuple[NDArray[np.float64], float | None]:
    """Return the latest norms and the ln C that clips about what is promised of them: the given one if it does, or None."""
    latest = used
    for share, doubt in LATEST:
        latest = used[-max(MIN_NORMS, math.ceil(share * used.size)) :]
        if _as_promised(latest, centre, wanted):
            return latest, centre
        own = float(np.quantile(latest, wanted))
        if not _one_sided(latest > own + _TIE, latest.size * (1.0 - wanted), doubt):
            return latest, own
    return latest, None


def _as_promised(latest: NDArray[np.float64], centre: float, wanted: float) -> bool:
    """Return whether about the promised share of the latest norms exceeds ln C; too few to tell count as yes.

    More may exceed it where they come in no more bursts than single norms are promised: to cut those is what it is for.
    """
    expected = round(latest.size * (1.0 - wanted), 9)  # 300 times .01 is more than 3 in floats
    above = np.flatnonzero(latest > centre + _TIE)
    bursts = decluster(above).size <= expected and above.size <= ABOUT**2 * expected
    enough = expected < 1.0 or above.size >= expected / ABOUT
    return enough and (bursts or above.size <= max(ABOUT * expected, 1.0))


def _one_sided(exceeds: NDArray[np.bool_], expected: float, doubt: float) -> bool:
    """Return whether the exceedances spare one half of the norms: less than about its share, at that p-value of a sign test."""
    half = exceeds.size // 2
    counts = int(exceeds[:half].sum()), int(exceeds[half:].sum())
    return min(counts) < 0.5 * expected / ABOUT and sign_test(counts[0], sum(counts)) <= doubt


def _abstain(reason: str, wanted: float, drift: float | None, n: int, position: NDArray[np.int64]) -> SuggestedLevel:
    """Return a result without a number."""
    return SuggestedLevel(
        value=None, interval=None, abstained=reason, drift=drift, level=None, quantile=wanted, ratio=None,
        first=int(position[0]) if position.size else 0, n=n, latest=0, method="bootstrap",
    )  # fmt: skip


def settled_part(log_norm: NDArray[np.float64]) -> tuple[int | None, float, float]:
    """Return where the latest stretch begins whose level stays within twofold.

    The level is the median of each of 20 equal blocks; single blocks of few steps are noisy, which the median absorbs.

    Parameters
    ----------
    log_norm : float64[n]
        Finite logarithms of the norms, n at least 20.

    Returns
    -------
    start : int or None
        Its first position; None where it is shorter than 200 norms or a quarter of the run.
    drift, total_drift : float
        Largest over smallest level in that stretch and in the whole.
    """
    edges = np.linspace(0, log_norm.size, BLOCKS + 1).astype(np.int64)
    level = np.array([float(np.median(log_norm[a:b])) for a, b in pairwise(edges)])
    high = np.maximum.accumulate(level[::-1])[::-1]
    low = np.minimum.accumulate(level[::-1])[::-1]
    spread = high - low
    first = int(np.argmax(spread <= math.log(MAX_DRIFT)))
    start = int(edges[first])
    length = log_norm.size - start
    enough = length >= max(MIN_NORMS, SETTLED_SHARE * log_norm.size)
    return (start if enough else None), math.exp(float(spread[first])), math.exp(float(spread[0]))


def _bootstrap_interval(
    log_norm: NDArray[np.float64],
    residual: NDArray[np.float64],
    window: int,
    wanted: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of ln C.

    Quantile and level use their own resamples: the level that of the last window, which is the smaller sample by far.
    """
    draws = _draws(draws, residual.size)
    reach = _resampled_quantile(residual, wanted, draws, rng)
    level = _resampled_quantile(log_norm[-window:], 0.5, draws, rng)
    low, high = np.quantile(reach + level, [0.025, 0.975])
    return float(low), float(high)


def _draws(wanted: int, n: int) -> int:
    return max(100, min(wanted, 2_000_000 // n))


def _resampled_quantile(
    value: NDArray[np.float64], p: float, draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a quantile of each of many stationary-bootstrap resamples."""
    block = block_length(value).stationary
    found = []
    rows = 200_000 // value.size  # of at most 20,000 values
    place = p * (value.size - 1)
    low = int(place)
    for first in range(0, draws, rows):
        sample = value[stationary_bootstrap(value.size, block, min(rows, draws - first), rng)]
        sample.partition(low, axis=1)
        below = sample[:, low]
        above = sample[:, low + 1 :].min(axis=1) if low + 1 < value.size else below
        found.append(below + (above - below) * (place - low))
    return np.concatenate(found)
