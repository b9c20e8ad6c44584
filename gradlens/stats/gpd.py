"""Generalized Pareto tails: what lies above a high threshold, whatever the body looks like.

The excess y = x - u of almost any distribution over a high threshold u is close to a generalized Pareto distribution
with scale sigma and index xi: P(Y > y) = (1 + xi y / sigma)^(-1/xi). xi = 0 is an exponential tail, xi > 0 a power-law
tail with exponent 1 + 1/xi, xi < 0 a tail with an end.

The likelihood is reduced to one dimension: for fixed theta = xi / sigma the best xi is mean ln(1 + theta y) (Davison
1984; Grimshaw 1993, Technometrics 35:185). The root of its derivative is searched from several starts.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.robust import MAX_USABLE, in_order, usable_sizes
from gradlens.stats.search import golden_section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

MIN_EXCESSES = 10
MIN_FOR_CHOICE = 50
LEVELS = (0.85, 0.87, 0.89, 0.91, 0.93, 0.95, 0.965, 0.98)
HALF_CHI_SQUARE_95 = 1.920729410347062  # half the 95 % quantile of chi-square with one degree
MAX_EXCESSES = 20_000
MIN_XI = -0.99
_SCAN = 256  # order statistics used for the start values
_HEAVY_STARTS = np.geomspace(1e-3, 1e3, 33)

# Upper quantiles of the Anderson-Darling statistic with both parameters fitted, by xi: our own simulation, 4,000
# samples of 400 excesses each, seed 1 (python -m benchmarks.calibration ad-table). Standard error 2 to 4 % of each
# entry; the one of p = .001 at xi 1 came out of the simulation as an outlier (2.24) and was set between its neighbours.
AD_PROBABILITIES = (0.5, 0.25, 0.1, 0.05, 0.025, 0.01, 0.001)
AD_QUANTILES = {
    -0.4: (0.439, 0.651, 0.92, 1.155, 1.379, 1.589, 2.168),
    -0.2: (0.413, 0.606, 0.885, 1.096, 1.31, 1.617, 2.623),
    0.0: (0.397, 0.559, 0.794, 0.993, 1.165, 1.395, 2.164),
    0.2: (0.369, 0.524, 0.725, 0.891, 1.06, 1.294, 1.757),
    0.4: (0.365, 0.511, 0.707, 0.854, 1.011, 1.245, 1.738),
    0.7: (0.349, 0.482, 0.647, 0.783, 0.935, 1.136, 1.542),
    1.0: (0.338, 0.475, 0.65, 0.768, 0.927, 1.133, 1.5),
}


@frozen(eq=False)
class GpdFit:
    """A generalized Pareto distribution fitted to excesses.

    Attributes
    ----------
    sigma, xi : float or None
        Scale and index; None with a ``reason``.
    xi_error : float or None
        Standard error (1 + xi) / sqrt(n), valid for xi > -1/2 and independent excesses.
    log_likelihood : float or None
        At the fit.
    n : int
        Excesses used.
    anderson_darling, p : float or None
        Distance of the fit with most weight on the tail, and the chance of a larger one if the tail is generalized
        Pareto.
    reason : str or None
        Why there is no fit.
    """

    sigma: float | None
    xi: float | None
    xi_error: float | None
    log_likelihood: float | None
    n: int
    anderson_darling: float | None = None
    p: float | None = None
    reason: str | None = None


def fit_gpd(excess: NDArray[np.float64], *, goodness: bool = False) -> GpdFit:
    """Fit a generalized Pareto distribution by maximum likelihood.

    Parameters
    ----------
    excess : float64[n]
        Values minus the threshold; those that are not finite and positive are left out.
    goodness : bool
        Also give the Anderson-Darling distance and its p-value.

    Returns
    -------
    GpdFit
        With a ``reason`` below 10 excesses or without spread. xi is kept above -1, where the likelihood has no maximum.
    """
    y = excess[usable_sizes(excess)]
    n = int(y.size)
    if n < MIN_EXCESSES:
        return GpdFit(
            sigma=None,
            xi=None,
            xi_error=None,
            log_likelihood=None,
            n=n,
            reason=f"only {n} excesses, {MIN_EXCESSES} needed",
        )
    scale = float(y.mean())
    largest = float(y.max())
    if not largest > float(y.min()) * (1.0 + 1e-12):
        return GpdFit(sigma=None, xi=None, xi_error=None, log_likelihood=None, n=n, reason="the excesses are all equal")
    sigma, xi = _maximise(y / scale, largest / scale)
    fit = GpdFit(
        sigma=sigma * scale,
        xi=xi,
        xi_error=max(1.0 + xi, 0.1) / math.sqrt(n),
        log_likelihood=-n * (math.log(sigma * scale) + xi + 1.0),
        n=n,
    )
    return with_goodness(fit, y) if goodness else fit


def _maximise(y: NDArray[np.float64], largest: float) -> tuple[float, float]:
    """Return sigma and xi for excesses with mean 1."""
    stride = max(1, y.size // _SCAN)
    scan = np.sort(y)[stride // 2 :: stride]
    end = -1.0 / largest
    starts = np.concatenate(
        (end * (1.0 - np.geomspace(1e-6, 0.9, 16)), end * np.geomspace(0.09, 1e-3, 5), _HEAVY_STARTS)
    )
    xi = np.log1p(np.outer(starts, scan)).mean(axis=1)
    loss = np.log(xi / starts) + xi
    loss[xi <= MIN_XI] = np.inf
    best = int(np.argmin(loss))
    theta = float(starts[best])
    for reach in (1, 4, starts.size):
        low, high = float(starts[max(best - reach, 0)]), float(starts[min(best + reach, starts.size - 1)])
        f_low, f_high = _slope(y, low), _slope(y, high)
        if f_low < 0.0 < f_high:
            theta = _root(lambda t: _slope(y, t), (low, f_low), (high, f_high))
            break
    index = _index(y, theta)
    if index <= MIN_XI:
        return largest, MIN_XI  # the likelihood grows without bound from -1 on; this is a uniform distribution
    return index / theta if theta else 1.0, index


def _index(y: NDArray[np.float64], theta: float) -> float:
    """Return the best xi for a theta."""
    return float(np.mean(np.log1p(theta * y)))


def _slope(y: NDArray[np.float64], theta: float) -> float:
    """Return the derivative of the profile loss."""
    if abs(theta) < 1e-5:
        # xi'/xi - 1/theta + xi' by its series, which the cancellation of the first two terms would otherwise spoil.
        m1, m2, m3 = float(y.mean()), float(np.mean(y * y)), float(np.mean(y**3))
        return m1 - 0.5 * m2 / m1 + theta * (2.0 * m3 / (3.0 * m1) - 0.25 * (m2 / m1) ** 2 - m2)
    derivative = float(np.mean(y / (1.0 + theta * y)))
    return derivative / _index(y, theta) - 1.0 / theta + derivative


def _root(function: Callable[[float], float], low: tuple[float, float], high: tuple[float, float]) -> float:
    """Return the root between two points (x, f) of opposite sign, by false position with Illinois halving."""
    (x_low, f_low), (x_high, f_high) = low, high
    moved = 0
    x = x_low
    for _ in range(60):
        x = x_high - f_high * (x_high - x_low) / (f_high - f_low)
        f = function(x)
        if f < 0.0:
            x_low, f_low = x, f
            f_high *= 0.5 if moved < 0 else 1.0
            moved = -1
        else:
            x_high, f_high = x, f
            f_low *= 0.5 if moved > 0 else 1.0
            moved = 1
        if abs(f) < 1e-13 or x_high - x_low <= 1e-12 * max(abs(x_low), abs(x_high)):
            break
    return x


def gpd_survival(y: NDArray[np.float64], sigma: float, xi: float) -> NDArray[np.float64]:
    """Return P(Y > y) for excesses y >= 0; 0 beyond the end of a tail with xi < 0."""
    with np.errstate(divide="ignore"):
        logs = np.log1p(np.maximum(xi * y / sigma, -1.0)) / xi if xi else y / sigma
    return np.asarray(np.exp(-logs))


def with_goodness(fit: GpdFit, excess: NDArray[np.float64]) -> GpdFit:
    """Return the fit with its Anderson-Darling distance and p-value.

    Parameters
    ----------
    fit : GpdFit
        A fit with parameters.
    excess : float64[n]
        The excesses it was made from.
    """
    if fit.sigma is None or fit.xi is None:
        return fit
    distance = anderson_darling(gpd_survival(in_order(excess), fit.sigma, fit.xi))
    return replace(fit, anderson_darling=distance, p=anderson_darling_p(distance, fit.xi))


def anderson_darling(survival: NDArray[np.float64]) -> float:
    """Return the Anderson-Darling distance of a sample from a distribution.

    A^2 = -n - sum (2i - 1)/n (ln F(x_i) + ln(1 - F(x_(n+1-i)))), Anderson and Darling (1954).

    Parameters
    ----------
    survival : float64[n]
        P(X > x) of the fitted distribution at the increasing order statistics.
    """
    n = survival.size
    survival = np.clip(survival, 1e-300, 1.0 - 1e-16)
    weight = (2.0 * np.arange(1, n + 1) - 1.0) / n
    return float(-n - np.sum(weight * (np.log1p(-survival) + np.log(survival[::-1]))))


def anderson_darling_p(distance: float, xi: float) -> float:
    """Return the chance of a larger distance under a fitted generalized Pareto tail, from the table of this module.

    Linear in ln p between the entries, and beyond them with the slope of the last two; never below 1e-12.
    """
    shapes = sorted(AD_QUANTILES)
    xi = min(max(xi, shapes[0]), shapes[-1])
    table = np.array([AD_QUANTILES[shape] for shape in shapes])
    quantiles = np.array([np.interp(xi, shapes, column) for column in table.T])
    log_p = np.log(AD_PROBABILITIES)
    if distance <= quantiles[0]:
        return float(1.0 - 0.5 * max(distance, 0.0) / quantiles[0])
    if distance >= quantiles[-1]:
        slope = (log_p[-1] - log_p[-2]) / (quantiles[-1] - quantiles[-2])
        return max(math.exp(float(log_p[-1] + slope * (distance - quantiles[-1]))), 1e-12)
    return math.exp(float(np.interp(distance, quantiles, log_p)))


@frozen(eq=False)
class TailThreshold:
    """One threshold tried.

    Attributes
    ----------
    level : float
        Share of the values below it.
    threshold : float
        The value itself.
    fit : GpdFit
        Of the excesses over it, with its goodness of fit.
    """

    level: float
    threshold: float
    fit: GpdFit


@frozen(eq=False)
class PeaksOverThreshold:
    """A generalized Pareto tail and how much it depends on where it begins.

    Attributes
    ----------
    chosen : TailThreshold or None
        The lowest threshold above which the tail is not rejected; None with a ``reason``.
    tried : tuple of TailThreshold
        All thresholds with at least 50 excesses, ascending.
    band : tuple of float or None
        Smallest and largest xi over the chosen and all higher thresholds: report it instead of trusting one threshold.
    rejected : bool
        Every threshold was rejected; the highest is used nonetheless.
    reason : str or None
        Why there is no fit.
    """

    chosen: TailThreshold | None
    tried: tuple[TailThreshold, ...]
    band: tuple[float, float] | None
    rejected: bool
    reason: str | None = None


def peaks_over_threshold(value: NDArray[np.float64], levels: Sequence[float] = LEVELS) -> PeaksOverThreshold:
    """Choose a threshold by Anderson-Darling tests with ForwardStop, and fit the tail above it.

    The thresholds are the quantiles 85 to 98 %. ForwardStop rejects the first k of the ordered hypotheses, k the
    largest with -1/k sum_(i<=k) ln(1 - p_i) <= .1, so a chance rejection among many tests does not decide.

    Parameters
    ----------
    value : float64[n]
        The sample; only finite values count.
    levels : sequence of float
        Increasing quantiles to try.

    Returns
    -------
    PeaksOverThreshold
        With a ``reason`` where not even the lowest threshold has 50 excesses.

    Notes
    -----
    Bader, Yan and Zhang (2018), Annals of Applied Statistics 12:310; G'Sell et al. (2016) for ForwardStop.
    """
    ordered = in_order(value[np.abs(value) < MAX_USABLE])
    tried: list[TailThreshold] = []
    chances, indices = [], []
    for level in levels if ordered.size else ():
        threshold = float(ordered[int(level * ordered.size)])
        excess = ordered[int(np.searchsorted(ordered, threshold, side="right")) :] - threshold
        if excess.size < MIN_FOR_CHOICE:
            continue  # too near the end, or ties at the threshold
        fit = _fit_thinned(excess)
        if fit.p is None or fit.xi is None:
            continue  # all that lies above is equal
        tried.append(TailThreshold(level=level, threshold=threshold, fit=fit))
        chances.append(fit.p)
        indices.append(fit.xi)
    if not tried:
        return PeaksOverThreshold(
            chosen=None,
            tried=(),
            band=None,
            rejected=False,
            reason=f"fewer than {MIN_FOR_CHOICE} different values above the 85 % quantile",
        )
    stop = forward_stop(chances)
    chosen = min(stop, len(tried) - 1)
    band = min(indices[chosen:]), max(indices[chosen:])
    return PeaksOverThreshold(chosen=tried[chosen], tried=tuple(tried), band=band, rejected=stop == len(tried))


def _fit_thinned(excess: NDArray[np.float64]) -> GpdFit:
    """Fit increasing excesses, at most 20,000 evenly spaced ones of them; error and likelihood are those of all."""
    stride = -(-excess.size // MAX_EXCESSES)
    fit = fit_gpd(excess[stride // 2 :: stride], goodness=True)
    if fit.xi_error is None or fit.log_likelihood is None:
        return fit
    return replace(
        fit, n=int(excess.size), xi_error=fit.xi_error / math.sqrt(stride), log_likelihood=fit.log_likelihood * stride
    )


def forward_stop(p_values: Sequence[float], level: float = 0.1) -> int:
    """Return how many of the ordered hypotheses ForwardStop rejects."""
    logs = np.cumsum([-math.log1p(-min(p, 1.0 - 1e-12)) for p in p_values]) / np.arange(1, len(p_values) + 1)
    passed = np.flatnonzero(logs <= level)
    return int(passed[-1]) + 1 if passed.size else 0


@frozen(eq=False)
class TailQuantile:
    """A quantile beyond or near the end of the data.

    Attributes
    ----------
    value : float
        The quantile.
    interval : tuple of float
        95 % profile-likelihood interval.
    """

    value: float
    interval: tuple[float, float]


def tail_quantile(
    excess: NDArray[np.float64], threshold: float, n: int, p: float, fit: GpdFit | None = None
) -> TailQuantile | None:
    """Return a high quantile from a generalized Pareto tail, with its profile-likelihood interval.

    u + sigma / xi ((n (1 - p) / n_u)^-xi - 1); the interval holds the quantiles whose best log-likelihood is within
    1.9207 of the maximum (Coles 2001, section 4.3.3).

    Parameters
    ----------
    excess : float64[n_u]
        Values above the threshold, minus it.
    threshold : float
        Where the tail begins.
    n : int
        Size of the whole sample.
    p : float
        Probability of the quantile; it must lie above the threshold.
    fit : GpdFit, optional
        The fit, if there is one already.

    Returns
    -------
    TailQuantile or None
        None without a fit, or where the quantile lies below the threshold.
    """
    fit = fit_gpd(excess) if fit is None else fit
    if fit.sigma is None or fit.xi is None or fit.log_likelihood is None or not n * (1.0 - p) < fit.n:
        return None
    ratio = math.log(fit.n / (n * (1.0 - p)))
    best = fit.sigma * reach(fit.xi, ratio)
    floor = -fit.log_likelihood + HALF_CHI_SQUARE_95
    y = excess[usable_sizes(excess)]

    def outside(quantile: float) -> bool:
        return _quantile_loss(y, quantile, ratio, fit.xi or 0.0) > floor

    return TailQuantile(
        value=threshold + best,
        interval=(threshold + _cross(outside, best, 0.5), threshold + _cross(outside, best, 2.0)),
    )


def reach(xi: float, ratio: float) -> float:
    """Return (e^(xi ratio) - 1) / xi, the quantile of a tail with scale 1."""
    return math.expm1(xi * ratio) / xi if xi else ratio


def _quantile_loss(y: NDArray[np.float64], quantile: float, ratio: float, start: float) -> float:
    """Return the smallest negative log-likelihood among tails with this quantile, by golden-section search over xi."""

    def loss(xi: float) -> float:
        xi = xi or 1e-12
        sigma = quantile / reach(xi, ratio)
        scaled = xi / sigma * y
        if float(scaled.min()) <= -1.0:
            return math.inf
        return y.size * math.log(sigma) + (1.0 + 1.0 / xi) * float(np.log1p(scaled).sum())

    # A finite start matters for xi < 0, where part of the range has no likelihood.
    return golden_section(loss, max(start - 1.0, -0.9), start + 1.5, 32)[1]


def _cross(outside: Callable[[float], bool], inside: float, factor: float) -> float:
    """Return where a region that holds ``inside`` ends, by doubling (or halving) and bisection."""
    near, far = inside, inside * factor
    for _ in range(60):
        if outside(far):
            break
        near, far = far, far * factor
    for _ in range(30):
        middle = math.sqrt(near * far)
        near, far = (near, middle) if outside(middle) else (middle, far)
    return math.sqrt(near * far)
