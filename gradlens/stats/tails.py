"""Whether the tail of the gradient norms is heavy, in numbers and in plain words.

Everything is computed twice: on the **raw** norms after the warm-up, and on the **detrended** norms, each divided by
the level around it, a centred rolling median that follows jumps (`gradlens.stats.robust`). A drifting scale fakes a
heavy tail: light lognormal noise on a decaying scale gives a Hill index of .65 raw and .06 detrended. Where the two
verdicts differ, the difference is the drift, and the detrended one is about the noise.

**Heavy** means heavier than a lognormal with the same bulk explains, with a tail index xi clearly above zero. The
index is that of a generalized Pareto tail above a threshold chosen by tests (`gradlens.stats.gpd`), with a standard
error widened by the clustering of exceedances. A finite sample of a lognormal has a positive index too, growing with
its spread. So the verdict has two ways to say heavy, both our own and tuned with ``benchmarks/calibration.py``:

* The index lies above the one that the bulk implies, by at least 2.33 standard errors and .1, and its lower 95 % bound
  is above zero. The bulk is the straight line through the log-quantiles between 25 and 85 %; its index is that of a
  generalized Pareto tail fitted to the quantiles of that lognormal above the same threshold.
* No lognormal describes the sample (its Kolmogorov-Smirnov distance is above 2.5 times what chance gives, and above
  .03) and the lower 95 % bound of the index is above .15.

**Gaussian null.** If the gradient were Gaussian noise in d equal directions, the squared norm would be chi-square with
d degrees. The spread of the norms gives the effective dimension d = 1 / (2 CV^2), and d gives the clip rate to expect.
Observed clipping far above it means, in plain words, a heavy tail.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.dependence import ExtremalIndex, effective_size, extremal_index
from gradlens.stats.families import KS_LIMITS, FamilyFit, fit_families
from gradlens.stats.gammafn import gamma_survival
from gradlens.stats.gpd import PeaksOverThreshold, fit_gpd, peaks_over_threshold
from gradlens.stats.indices import TailIndices, tail_indices
from gradlens.stats.normal import normal_quantile
from gradlens.stats.powerlaw import PowerLaw, fit_power_law
from gradlens.stats.robust import (
    MAD_TO_SIGMA,
    MAX_USABLE,
    as_series,
    detrending_window,
    local_level,
    quantiles_in_order,
    safe_log,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_NORMS = 200
LARGE = 200_000  # above it the raw norms get no power-law search
SIGNIFICANT = 2.33
MATERIAL = 0.1
CLEARLY_HEAVY = 0.15
CLEARLY_NOT_LOGNORMAL = 2.5
VISIBLY_NOT_LOGNORMAL = 0.03


@frozen(eq=False)
class TailView:
    """The tail of one version of the norms.

    Attributes
    ----------
    n : int
        Values used.
    fits : tuple of FamilyFit
        Families on the whole sample, best AIC first.
    power_law : PowerLaw or None
        Clauset-Shalizi-Newman fit; None for raw norms of more than 200,000 steps.
    indices : TailIndices
        Hill, moment and Pickands.
    pareto_tail : PeaksOverThreshold
        Generalized Pareto tails over several thresholds.
    clustering : ExtremalIndex
        Of the exceedances of the chosen threshold.
    xi : float or None
        Index of the generalized Pareto tail at the chosen threshold.
    xi_interval : tuple of float or None
        95 %, widened for clustering.
    heavy : bool or None
        The verdict; None where there are too few values.
    verdict : str
        The same in words.
    """

    n: int
    fits: tuple[FamilyFit, ...]
    power_law: PowerLaw | None
    indices: TailIndices
    pareto_tail: PeaksOverThreshold
    clustering: ExtremalIndex
    xi: float | None
    xi_interval: tuple[float, float] | None
    heavy: bool | None
    verdict: str


@frozen(eq=False)
class GaussianNull:
    """What Gaussian gradient noise of the same spread would do.

    Attributes
    ----------
    effective_dimension : float or None
        1 / (2 CV^2) of the detrended norms, by their median absolute deviation; None for norms without spread.
    expected_clip_rate : float or None
        Clip rate that it predicts at the threshold, averaged over the level of the run; None without a threshold.
    observed_clip_rate : float or None
        Over the same steps.
    """

    effective_dimension: float | None
    expected_clip_rate: float | None
    observed_clip_rate: float | None


@frozen(eq=False)
class TailDescription:
    """The full description of the tail of the norms.

    Attributes
    ----------
    raw, detrended : TailView
        Both versions.
    detrending_window : int
        Width of the centred median in steps.
    gaussian_null : GaussianNull
        The plain-language measure.
    verdict : str
        One or two sentences.
    reason : str or None
        Why there is no verdict.
    """

    raw: TailView
    detrended: TailView
    detrending_window: int
    gaussian_null: GaussianNull
    verdict: str
    reason: str | None = None

    @property
    def heavy(self) -> bool | None:
        """The verdict on the detrended norms."""
        return self.detrended.heavy

    @property
    def family(self) -> str | None:
        """The family with the best AIC on the detrended norms."""
        return self.detrended.fits[0].family if self.detrended.fits else None


def describe_tail(
    norm: NDArray[np.float64],
    *,
    warmup_end: int = 0,
    threshold: float | None = None,
    bootstrap: int = 0,
    seed: int = 0,
) -> TailDescription:
    """Describe the tail of a series of gradient norms.

    Parameters
    ----------
    norm : float64[n]
        Norms in order; values that are not finite or not positive are left out.
    warmup_end : int
        First position used.
    threshold : float, optional
        Clipping threshold for the Gaussian null.
    bootstrap : int
        Draws for the p-value of the power law on the detrended norms; 0 leaves it out, as it takes seconds.
    seed : int
        Of the bootstrap.

    Returns
    -------
    TailDescription
        Fits where at least 20 values allow them; no verdict, but a ``reason``, below 200.
    """
    norm = as_series(norm)[max(warmup_end, 0) :]
    log_norm = safe_log(norm)
    usable = np.isfinite(log_norm)
    log_norm = log_norm[usable]
    window = detrending_window(log_norm.size)
    level = local_level(log_norm, window)
    detrended = view_tail(np.exp(log_norm - level), bootstrap=bootstrap, seed=seed)
    raw = view_tail(norm[usable], power_law=log_norm.size <= LARGE)
    null = gaussian_null(norm[usable], log_norm, level, threshold)
    reason = (
        f"only {log_norm.size} usable norms after the warm-up, {MIN_NORMS} needed"
        if log_norm.size < MIN_NORMS
        else None
    )
    return TailDescription(
        raw=raw,
        detrended=detrended,
        detrending_window=window,
        gaussian_null=null,
        verdict=_sentence(raw, detrended),
        reason=reason,
    )


def detrended(norm: NDArray[np.float64], *, warmup_end: int = 0) -> NDArray[np.float64]:
    """Return the norms after the warm-up, each divided by the level around it: what the detrended view is made from.

    Parameters
    ----------
    norm : float64[n]
        In order; values that are not finite or not positive are left out.
    warmup_end : int
        First position used.
    """
    log_norm = safe_log(as_series(norm)[max(warmup_end, 0) :])
    log_norm = log_norm[np.isfinite(log_norm)]
    level = local_level(log_norm, detrending_window(log_norm.size))
    return np.asarray(np.exp(log_norm - level))


def view_tail(value: NDArray[np.float64], *, bootstrap: int = 0, seed: int = 0, power_law: bool = True) -> TailView:
    """Fit everything to one series and judge its tail.

    Parameters
    ----------
    value : float64[n]
        Finite positive values in order; the order matters for clustering only.
    bootstrap, seed : int
        For the p-value of the power law.
    power_law : bool
        Whether to search for a power law.
    """
    log_value = np.log(value)
    n_effective = effective_size(log_value)
    ordered = np.sort(value)
    fits = fit_families(ordered, n_effective=n_effective)
    tail = peaks_over_threshold(ordered)
    chosen = tail.chosen
    positions = np.flatnonzero(value > chosen.threshold) if chosen is not None else np.zeros(0, dtype=np.int64)
    clustering = extremal_index(positions)
    xi = interval = implied = None
    heavy: bool | None = None
    if chosen is not None and chosen.fit.xi is not None and chosen.fit.xi_error is not None:
        xi = chosen.fit.xi
        error = chosen.fit.xi_error * clustering.widening
        interval = (xi - 1.96 * error, xi + 1.96 * error)
        implied = lognormal_index(ordered, chosen.level)
        lognormal = next((fit for fit in fits if fit.family == "lognormal"), None)
        chance = KS_LIMITS["lognormal"] / math.sqrt(n_effective)
        unfit = lognormal is not None and lognormal.ks > max(CLEARLY_NOT_LOGNORMAL * chance, VISIBLY_NOT_LOGNORMAL)
        above_body = implied is not None and xi - implied > max(SIGNIFICANT * error, MATERIAL)
        # A threshold with 50 values above it is chosen from 340 on, so that this is never said of too few.
        heavy = bool((above_body and interval[0] > 0.0) or (unfit and interval[0] > CLEARLY_HEAVY))
    return TailView(
        n=int(value.size),
        fits=fits,
        power_law=fit_power_law(ordered, bootstrap=bootstrap, seed=seed) if power_law else None,
        indices=tail_indices(ordered),
        pareto_tail=tail,
        clustering=clustering,
        xi=xi,
        xi_interval=interval,
        heavy=heavy,
        verdict=_words(heavy=heavy, xi=xi, implied=implied, fits=fits),
    )


def lognormal_index(ordered: NDArray[np.float64], level: float) -> float | None:
    """Return the generalized Pareto index that a lognormal with the same bulk gives above a quantile.

    Parameters
    ----------
    ordered : float64[n]
        Increasing positive sample.
    level : float
        Share of the sample below the threshold.

    Returns
    -------
    float or None
        None for a body without spread.
    """
    probability = np.linspace(0.25, 0.85, 25)
    z = normal_quantile(probability)
    quantiles = np.log(quantiles_in_order(ordered, probability))
    sigma = float(np.polyfit(z, quantiles, 1)[0])
    if not sigma > 1e-9:
        return None
    count = 200
    start = float(normal_quantile(np.array([level]))[0])
    tail = normal_quantile(level + (1.0 - level) * (np.arange(count) + 0.5) / count)
    return fit_gpd(np.expm1(sigma * (tail - start))).xi


def _words(*, heavy: bool | None, xi: float | None, implied: float | None, fits: tuple[FamilyFit, ...]) -> str:
    """Say the verdict on one version in a sentence."""
    body = ""
    if fits:
        name = fits[0].family.replace("_", " ")
        body = (
            f"; {name} fits best"
            if fits[0].adequate
            else f"; no family fits, {name} is closest (KS {fits[0].ks:.3f}, limit {fits[0].ks_limit:.3f})"
        )
    if heavy is None or xi is None:
        return "too few values for a verdict" + body
    against = f", a lognormal with the same bulk would give {implied:.2f}" if implied is not None else ""
    return f"{'heavy' if heavy else 'not heavy'}: tail index {xi:.2f}{against}{body}"


def _sentence(raw: TailView, detrended: TailView) -> str:
    """Say the verdict on both versions in a sentence or two."""
    if detrended.heavy is None or raw.heavy is None:
        return "Too few norms for a verdict on the tail."
    if raw.heavy and not detrended.heavy:
        return (
            "The raw norms look heavy-tailed only because their level drifts; around their level they are not. "
            f"Detrended: {detrended.verdict}."
        )
    if detrended.heavy:
        return (
            "The norms are heavy-tailed around their level: rare, very large norms are part of the noise. "
            f"Detrended: {detrended.verdict}."
        )
    return f"The norms are not heavy-tailed. Detrended: {detrended.verdict}."


def gaussian_null(
    norm: NDArray[np.float64], log_norm: NDArray[np.float64], level: NDArray[np.float64], threshold: float | None
) -> GaussianNull:
    """Return how often gradients of Gaussian noise would be clipped whose norms scatter as much as these.

    If g ~ N(0, s^2 I_d), the squared norm over s^2 is chi-square with d degrees of freedom, and for large d the norm has a
    coefficient of variation CV = 1 / sqrt(2 d). So the spread of the detrended norms gives the effective dimension
    d = 1 / (2 CV^2), with CV by the median absolute residual of ln norm, and P(norm > C) = P(chi-square_d > C^2 / s^2)
    the clip rate to expect, with s from the level of the run: its median is s sqrt(d - 2/3), averaged over 64 of its
    levels. An observed rate far above it means, in plain words, a heavy tail.

    Parameters
    ----------
    norm, log_norm, level : float64[n]
        Finite positive norms, their logarithms, and the level of those.
    threshold : float or None
        Clipping threshold C.

    Returns
    -------
    GaussianNull
        All None for norms without spread; no rates without a threshold.
    """
    residual = log_norm - level
    # Of a chi variable the logarithm varies as the value does over its mean, by 1 / sqrt(2 d) up to O(1/d). By its
    # median size: ten outliers in a thousand norms, which the null is to be checked against, must not widen it.
    variation = MAD_TO_SIGMA * float(np.median(np.abs(residual - np.median(residual)))) if residual.size >= 2 else 0.0
    if not (math.isfinite(variation) and variation > 1e-9):
        return GaussianNull(effective_dimension=None, expected_clip_rate=None, observed_clip_rate=None)
    dimension = 0.5 / variation**2
    if threshold is None or not threshold > 0.0:
        return GaussianNull(effective_dimension=dimension, expected_clip_rate=None, observed_clip_rate=None)
    # The median of a chi-square root is close to sqrt(d - 2/3); the level is such a median. 64 levels stand for the
    # run.
    levels = np.exp(quantiles_in_order(np.sort(level), (np.arange(64) + 0.5) / 64.0))
    squared = np.minimum(min(threshold, MAX_USABLE) / levels, MAX_USABLE) ** 2 * max(
        dimension - 2.0 / 3.0, 0.3 * dimension
    )
    expected = float(np.mean(gamma_survival(0.5 * dimension, 0.5 * squared)))
    return GaussianNull(
        effective_dimension=dimension, expected_clip_rate=expected, observed_clip_rate=float(np.mean(norm > threshold))
    )
