"""Families of distributions fitted to a whole sample, and power-law tails tested against their rivals.

**Whole sample.** Lognormal, Weibull, gamma, exponential and power law with exponential cut-off by maximum likelihood,
compared by AIC. AIC only ranks: if no family fits, one still comes first. So every fit also has its Kolmogorov-Smirnov
distance with a limit that a true family stays under in 95 % of samples with parameters fitted (Lilliefors 1967 for the
lognormal; Stephens in D'Agostino and Stephens 1986, chapter 4, for exponential and Weibull; their lognormal figure
stands in for gamma and cut-off). The limit uses the effective sample size and is never below .02: at a million steps
everything real is rejected, and two points of probability are good enough to describe a norm.

**Tails.** Vuong's test (1989, Econometrica 57:307) compares the likelihood of a power law with that of an exponential,
a stretched exponential, a lognormal and a power law with cut-off on the same values above xmin. Each family is cut off
at xmin and refitted. In logarithms y = ln(x / xmin) a cut lognormal is a cut normal and the power law its limit, so a
fit that runs off to that limit has a ratio of exactly zero.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.dependence import inner
from gradlens.stats.gammafn import digamma, gamma_survival, trigamma
from gradlens.stats.normal import log_normal_cdf, mills_ratio, normal_cdf
from gradlens.stats.quadrature import gauss_legendre
from gradlens.stats.robust import positive_sample
from gradlens.stats.search import golden_section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

MAX_VALUES = 50_000
GRID = 1024  # order statistics at which a distance is taken in longer samples; it is off by less than 1/GRID
TOLERANCE = 0.02
MIN_VALUES = 20
LOG_2PI = math.log(2.0 * math.pi)
# 95 % points of sqrt(n) D with parameters fitted; see the module text.
KS_LIMITS = {"lognormal": 0.895, "weibull": 0.874, "gamma": 0.895, "exponential": 1.094, "power_law_cutoff": 0.895}


@frozen(eq=False)
class FamilyFit:
    """One family fitted to a sample.

    Attributes
    ----------
    family : str
        ``lognormal``, ``weibull``, ``gamma``, ``exponential`` or ``power_law_cutoff``.
    parameters : dict of str to float
        By name.
    log_likelihood, aic : float
        AIC is 2 k - 2 log-likelihood; the smallest is best.
    ks : float
        Kolmogorov-Smirnov distance, at 1,024 order statistics in longer samples.
    ks_limit : float
        What a true family stays under in 95 % of samples of this effective size, at least .02.
    adequate : bool
        ks is within the limit.
    """

    family: str
    parameters: dict[str, float]
    log_likelihood: float
    aic: float
    ks: float
    ks_limit: float
    adequate: bool


def fit_families(value: NDArray[np.float64], *, n_effective: float | None = None) -> tuple[FamilyFit, ...]:
    """Fit all families to a positive sample, best AIC first.

    Parameters
    ----------
    value : float64[n]
        The sample; only finite positive values count. More than 50,000 are represented by as many evenly spaced order
        statistics, which fix a body to four digits; likelihoods are scaled up to the whole sample.
    n_effective : float, optional
        Independent values it is worth; n by default.

    Returns
    -------
    tuple of FamilyFit
        Empty for fewer than 20 values or a sample without spread.
    """
    everything = positive_sample(value)
    if everything.size < MIN_VALUES:
        return ()
    stride = -(-everything.size // MAX_VALUES)
    x = everything[stride // 2 :: stride]
    if not float(x[-1]) > float(x[0]) * (1.0 + 1e-9):
        return ()
    scale = math.exp(float(np.mean(np.log(x))))
    scaled = x / scale
    size = float(everything.size) if n_effective is None else n_effective
    at = np.linspace(0, x.size - 1, min(GRID, x.size)).round().astype(np.int64)
    fits = []
    for family, fit in (
        ("lognormal", _lognormal), ("weibull", _weibull), ("gamma", _gamma), ("exponential", _exponential),
        ("power_law_cutoff", _cutoff),
    ):  # fmt: skip
        made = fit(scaled, scale)
        if made is None:
            continue
        parameters, log_likelihood, free, cdf = made
        log_likelihood = stride * (log_likelihood - x.size * math.log(scale))
        model = cdf(scaled[at])
        distance = max(float(np.max(model - at / x.size)), float(np.max((at + 1) / x.size - model)))
        limit = max(KS_LIMITS[family] / (math.sqrt(size) + 0.85 / math.sqrt(size)), TOLERANCE)
        fits.append(
            FamilyFit(
                family=family, parameters=parameters, log_likelihood=log_likelihood, aic=2.0 * free - 2.0 *
                log_likelihood, ks=distance, ks_limit=limit, adequate=distance <= limit,
            )
        )  # fmt: skip
    return tuple(sorted(fits, key=lambda fit: fit.aic))


def family_survival(family: str, parameters: Mapping[str, float], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(X > x) under a fitted family.

    Parameters
    ----------
    family, parameters
        As of `FamilyFit`.
    value : float64[n]
        Positive and ascending. A power law with cut-off says nothing below its `xmin`: NaN there.

    Returns
    -------
    float64[n]
        In the far tail of a gamma law and of a cut-off no smaller than rounding allows.
    """
    p = parameters
    log = np.log(value)
    if family == "lognormal":
        return 1.0 - normal_cdf((log - p["mu"]) / p["sigma"])
    if family == "weibull":
        return np.asarray(np.exp(-np.exp(np.minimum(p["shape"] * (log - math.log(p["scale"])), 700.0))))
    if family == "gamma":
        return gamma_survival(p["shape"], value / p["scale"])
    if family == "exponential":
        return np.asarray(np.exp(-value / p["mean"]))
    if family == "power_law_cutoff":
        above = log >= math.log(p["xmin"])
        share = np.full(len(value), np.nan)
        share[above] = 1.0 - _cutoff_cdf(log[above] - math.log(p["xmin"]), p["alpha"], p["rate"] * p["xmin"])
        return share
    raise ValueError(f"{family}: no such family")


if TYPE_CHECKING:
    # Of data divided by their geometric mean, `scale`, so that their logarithms add up to 0:
    # parameters in the unit of the data, log-likelihood of the scaled data, free parameters, cdf of the scaled data
    Made = tuple[dict[str, float], float, int, Callable[[NDArray[np.float64]], NDArray[np.float64]]]


def _lognormal(x: NDArray[np.float64], scale: float) -> Made:
    """Fit mean and population deviation of the logarithm."""
    sigma = float(np.log(x).std())
    log_likelihood = -x.size * (0.5 * LOG_2PI + math.log(sigma) + 0.5)
    return {"mu": math.log(scale), "sigma": sigma}, log_likelihood, 2, lambda v: normal_cdf(np.log(v) / sigma)


def _exponential(x: NDArray[np.float64], scale: float) -> Made:
    """Fit the mean."""
    mean = float(x.mean())
    return {"mean": mean * scale}, -x.size * (math.log(mean) + 1.0), 1, lambda v: -np.expm1(-v / mean)


def _weibull(x: NDArray[np.float64], scale: float) -> Made | None:
    """Solve the shape equation sum x^k ln x / sum x^k - 1/k = mean ln x by Newton steps."""
    log = np.log(x)
    top = float(log[-1])
    shifted = log - top  # at most 0, so powers cannot overflow
    mean = float(shifted.mean())
    k = 1.2 / float(log.std())
    for _ in range(60):
        weight = np.exp(k * shifted)
        total = float(weight.sum())
        first = inner(weight, shifted) / total
        second = inner(weight, shifted * shifted) / total
        value = first - 1.0 / k - mean
        step = value / (second - first * first + 1.0 / (k * k))
        new = max(0.1 * k, k - step)
        done = abs(new - k) < 1e-10 * k
        k = new
        if done:
            break
    else:
        return None
    size = top + math.log(float(np.mean(np.exp(k * shifted)))) / k
    log_likelihood = x.size * (math.log(k) - k * size - 1.0)
    return (
        {"shape": k, "scale": math.exp(size) * scale},
        log_likelihood,
        2,
        lambda v: -np.expm1(-np.exp(k * (np.log(v) - size))),
    )


def _gamma(x: NDArray[np.float64], scale: float) -> Made | None:
    """Solve ln a - digamma(a) = ln mean - mean ln by Newton steps in 1/a (Minka 2002)."""
    mean = float(x.mean())
    gap = math.log(mean)
    if not gap > 1e-14:
        return None
    a = (3.0 - gap + math.sqrt((gap - 3.0) ** 2 + 24.0 * gap)) / (12.0 * gap)
    for _ in range(30):
        inverse = 1.0 / a + (math.log(a) - digamma(a) - gap) / (a * a * (1.0 / a - trigamma(a)))
        # Minka's start is so close that the inverse moves by less than 4 %.
        new = 1.0 / inverse
        done = abs(new - a) < 1e-11 * a
        a = new
        if done:
            break
    theta = mean / a
    log_likelihood = -x.size * (a + a * math.log(theta) + math.lgamma(a))
    return (
        {"shape": a, "scale": theta * scale},
        log_likelihood,
        2,
        lambda v: 1.0 - gamma_survival(a, v / theta),
    )


def _cutoff(x: NDArray[np.float64], scale: float) -> Made | None:
    """Fit x^-alpha e^(-rate x) from the smallest value on."""
    low = float(x[0])
    fit = fit_cutoff(float(np.log(x / low).mean()), float(x.mean()) / low)
    if fit is None:
        return None
    alpha, rate, log_norm = fit
    log_likelihood = -x.size * ((1.0 - alpha) * math.log(low) + rate * float(x.mean()) / low + log_norm)
    return (
        {"alpha": alpha, "rate": rate / (low * scale), "xmin": low * scale},
        log_likelihood,
        3,
        lambda v: _cutoff_cdf(np.log(v / low), alpha, rate),
    )


_NODES, _CELL_NODES = 160, 6


def _cutoff_range(alpha: float, rate: float) -> tuple[float, float, float]:
    """Return where exp((1 - alpha) u - rate e^u), u >= 0, holds its mass, and its largest logarithm."""

    def log_density(u: float) -> float:
        return (1.0 - alpha) * u - rate * math.exp(u)

    mode = math.log((1.0 - alpha) / rate) if 1.0 - alpha > rate else 0.0
    peak = log_density(mode)
    # Its curvature at a mode inside; its slope at 0, or where the cut-off begins.
    width = 1.0 / math.sqrt(1.0 - alpha) if mode > 0.0 else 1.0 / (alpha - 1.0 + rate + 1.0 / math.log1p(1.0 / rate))
    high, step = mode, width
    while log_density(high) > peak - 38.0 and high < 600.0:
        high = min(high + step, 600.0)
        step *= 1.3
    low, step = mode, width
    while log_density(low) > peak - 38.0 and low > 0.0:
        low = max(low - step, 0.0)
        step *= 1.3
    return low, high, peak


def _cutoff_moments(alpha: float, rate: float) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the log normaliser, and mean and covariance of (u, e^u), for x = e^u >= 1."""
    low, high, peak = _cutoff_range(alpha, rate)
    # Two thirds of the nodes go where the density lives, however long the tail beyond it is.
    middle = low + (high - low) / 3.0
    nodes, weights = gauss_legendre(_NODES)
    u = np.concatenate([a + 0.5 * (b - a) * (1.0 + nodes) for a, b in ((low, middle), (middle, high))])
    weight = np.concatenate([0.5 * (b - a) * weights for a, b in ((low, middle), (middle, high))])
    x = np.exp(u)
    density = weight * np.exp((1.0 - alpha) * u - rate * x - peak)
    total = float(density.sum())
    features = np.stack((u, x))
    mean = features @ density / total
    centred = features - mean[:, None]
    return math.log(total) + peak, mean, (centred * density) @ centred.T / total


def fit_cutoff(mean_log: float, mean: float) -> tuple[float, float, float] | None:
    """Fit a power law with exponential cut-off to x >= 1.

    The density x^-alpha e^(-rate x) / Z is an exponential family, so the likelihood depends on the sample only through
    the means of ln x and x and has a single maximum; damped Newton steps find it.

    Parameters
    ----------
    mean_log, mean : float
        Sample means of ln x and of x.

    Returns
    -------
    tuple of float or None
        alpha, rate and ln Z; None where the steps do not settle, as for samples heavier than any cut-off.
    """
    target = np.array([mean_log, mean])
    if not (mean_log > 0.0 and mean > 1.0):
        return None
    alpha, rate = _cutoff_start(mean_log, mean)
    log_norm, moments, covariance = _cutoff_moments(alpha, rate)
    loss = alpha * mean_log + rate * mean + log_norm
    for _ in range(100):
        # The gradient of the loss by (alpha, ln rate); ln rate keeps the rate positive.
        gradient = (target - moments) * np.array([1.0, rate])
        hessian = covariance * np.outer([1.0, rate], [1.0, rate])
        hessian[1, 1] += abs(gradient[1]) + 1e-12
        hessian[0, 0] += 1e-12
        determinant = hessian[0, 0] * hessian[1, 1] - hessian[0, 1] ** 2
        if not determinant > 0.0:
            return None
        step = np.array(
            [
                hessian[1, 1] * gradient[0] - hessian[0, 1] * gradient[1],
                hessian[0, 0] * gradient[1] - hessian[0, 1] * gradient[0],
            ]
        )
        step /= determinant
        size = 1.0
        for _ in range(40):
            new_alpha = alpha - size * float(step[0])
            new_rate = rate * math.exp(max(min(-size * float(step[1]), 20.0), -20.0))
            if new_rate > 1e-12 and abs(new_alpha) < 1e7:
                new = _cutoff_moments(new_alpha, new_rate)
                new_loss = new_alpha * mean_log + new_rate * mean + new[0]
                if new_loss <= loss + 1e-14 * abs(loss):
                    break
            size *= 0.5
        else:
            return alpha, rate, log_norm
        gain = loss - new_loss
        alpha, rate, loss = new_alpha, new_rate, new_loss
        log_norm, moments, covariance = new
        if gain < 1e-13 * max(abs(loss), 1.0) and size == 1.0:
            break
        if rate < 1e-12:
            return None
    return alpha, rate, log_norm


def _cutoff_start(mean_log: float, mean: float) -> tuple[float, float]:
    """Start from the gamma distribution for concentrated samples, from a weak cut-off of a power law otherwise."""
    gap = math.log(mean) - mean_log
    if gap < 0.05:
        shape = 0.5 / max(gap, 1e-12)
        return 1.0 - shape, shape / mean
    return 1.0 + 0.5 / mean_log, 0.5 / mean


def _cutoff_cdf(log_value: NDArray[np.float64], alpha: float, rate: float) -> NDArray[np.float64]:
    """Return P(X <= x) for increasing ln x >= 0 by quadrature between them."""
    low, high, peak = _cutoff_range(alpha, rate)
    knots = np.linspace(low, high, 400)
    nodes, weights = gauss_legendre(_CELL_NODES)
    u = knots[:-1, None] + 0.5 * np.diff(knots)[:, None] * (1.0 + nodes)
    cell = 0.5 * np.diff(knots) * (np.exp((1.0 - alpha) * u - rate * np.exp(u) - peak) @ weights)
    cumulative = np.concatenate(([0.0], np.cumsum(cell)))
    return np.asarray(np.interp(log_value, knots, cumulative / cumulative[-1]))


@frozen(eq=False)
class VuongTest:
    """A power law against another family on the same tail.

    Attributes
    ----------
    family : str
        ``lognormal``, ``exponential``, ``weibull`` or ``power_law_cutoff``.
    log_ratio : float
        Sum of log-likelihood differences, positive for the power law.
    normalised : float or None
        log_ratio / (sqrt(n) s), s the population deviation of the differences; None where they are all zero.
    p : float
        Two-sided; above .1 the test cannot tell the two apart. For the cut-off family, which holds the power law, from
        chi-square with one degree.
    """

    family: str
    log_ratio: float
    normalised: float | None
    p: float


def vuong_tests(excess: NDArray[np.float64], exponent: float) -> tuple[VuongTest, ...]:
    """Compare a power law with four rivals on one tail.

    Parameters
    ----------
    excess : float64[n]
        ln(x / xmin) of the tail.
    exponent : float
        alpha - 1 of the power law.

    Returns
    -------
    tuple of VuongTest
        Without families that could not be fitted; empty for fewer than 10 values.
    """
    y = excess
    if y.size < 10 or not float(y.max()) < 200.0:
        return ()
    x, beyond = np.exp(y), np.expm1(y)
    mean = float(beyond.mean())
    power = math.log(exponent) - exponent * y
    rivals = {
        "lognormal": _cut_lognormal(y, exponent),
        "exponential": y - math.log(mean) - beyond / mean,
        "weibull": _cut_weibull(y),
    }
    tests = []
    for family, density in rivals.items():
        difference = power - density
        total, deviation = float(difference.sum()), float(difference.std())
        settled = deviation > 1e-9
        normalised = total / (math.sqrt(y.size) * deviation) if settled else None
        p = math.erfc(abs(normalised) / math.sqrt(2.0)) if normalised is not None else 1.0
        tests.append(VuongTest(family=family, log_ratio=total, normalised=normalised, p=p))
    cut = fit_cutoff(float(y.mean()), float(x.mean()))
    ratio = 0.0
    if cut is not None:
        alpha, rate, log_norm = cut
        ratio = min(float(power.sum() - np.sum((1.0 - alpha) * y - rate * x - log_norm)), 0.0)
    tests.append(VuongTest(family="power_law_cutoff", log_ratio=ratio, normalised=None, p=math.erfc(math.sqrt(-ratio))))
    return tuple(tests)


def _cut_lognormal(y: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Return log-densities in y of the best normal cut at 0, the power law itself where that is its limit.

    With t = mu / sigma and h = phi(t) / Phi(t) the moments of the cut normal are E y = sigma (t + h) and E y^2 =
    sigma^2 (1 + t^2 + t h). Their ratio E y^2 / (E y)^2 falls from 2 (the exponential, t to minus infinity) to 1, so
    one bisection in t gives the maximum of the likelihood.
    """
    first, second = float(y.mean()), float(np.mean(y * y))
    ratio = second / (first * first)

    def model(t: float) -> float:
        hazard = mills_ratio(t)
        return (1.0 + t * t + t * hazard) / (t + hazard) ** 2

    low, high = -300.0, 1e6
    if ratio >= model(low):
        return math.log(exponent) - exponent * y
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if model(middle) > ratio else (low, middle)
    t = 0.5 * (low + high)
    sigma = first / (t + mills_ratio(t))
    return -0.5 * (y / sigma - t) ** 2 - 0.5 * LOG_2PI - math.log(sigma) - log_normal_cdf(t)


def _cut_weibull(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-densities in y of the best stretched exponential cut at x = 1, by golden-section search over its shape."""

    def rate(k: float) -> float:
        return float(np.mean(np.expm1(k * y)))

    def loss(k: float) -> float:
        return -math.log(k) + math.log(rate(k)) - k * float(y.mean())

    k, _ = golden_section(loss, 1e-6, min(20.0 / float(y.mean()), 600.0 / float(y.max())), 60)
    mean = rate(k)
    return math.log(k / mean) + k * y - np.expm1(k * y) / mean
