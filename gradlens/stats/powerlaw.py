"""Power-law tails after Clauset, Shalizi and Newman.

For x >= xmin the density is proportional to x^-alpha. alpha = 1 + n / sum ln(x / xmin) by maximum likelihood with
standard error (alpha - 1) / sqrt(n); xmin is the value for which the two-sided Kolmogorov-Smirnov distance between data
and fit is smallest; whether the result is credible is a separate question, answered by a semi-parametric bootstrap and
by Vuong tests against other families (SIAM Review 51:661, 2009, equations 3.1 to 3.9 and appendix C).

**Speed.** The usual search costs n^2. Here a few candidates are computed in full, and the distance of every other one is
bounded from below at the places where these deviate most; a candidate whose bound exceeds the best distance found is dropped
for good. The minimum found is exact, of a hundred values and of a million.

**Ties** are grouped and the distance is two-sided, taken just before and at every step of the empirical distribution.
Some implementations take one side only, which can move xmin by a few ranks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.families import VuongTest, vuong_tests
from gradlens.stats.robust import positive_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_TAIL = 10
PROBES = 16  # candidates computed in full at a time
#: p-value up to which a power law is rejected, by its own test and against another family (Clauset et al. 2009).
REJECTED_AT = 0.1


@frozen(eq=False)
class PowerLaw:
    """A power law fitted to the upper tail.

    Attributes
    ----------
    alpha, alpha_error : float or None
        Exponent of the density and its standard error for independent values; None with a ``reason``.
    xmin : float or None
        Where the power law begins.
    n_tail : int
        Values from xmin on.
    ks : float or None
        Two-sided Kolmogorov-Smirnov distance in the tail.
    p_value : float or None
        Bootstrap p-value, at most .1 rejects the power law; None unless asked for.
    alternatives : tuple of VuongTest
        Against other families on the same tail.
    reason : str or None
        Why there is no fit.
    """

    alpha: float | None
    alpha_error: float | None
    xmin: float | None
    n_tail: int
    ks: float | None
    p_value: float | None = None
    alternatives: tuple[VuongTest, ...] = ()
    reason: str | None = None


def fit_power_law(
    value: NDArray[np.float64],
    *,
    xmin: float | None = None,
    bootstrap: int = 0,
    seed: int = 0,
    alternatives: bool = True,
) -> PowerLaw:
    """Fit a power law to the upper tail of a sample.

    Parameters
    ----------
    value : float64[n]
        The sample; only finite positive values count.
    xmin : float, optional
        Where the tail begins; searched for by default.
    bootstrap : int
        Draws of the semi-parametric bootstrap; 0 leaves the p-value out. 2,500 give it two decimal places.
    seed : int
        Of the bootstrap.
    alternatives : bool
        Also test against other families on the tail.

    Returns
    -------
    PowerLaw
        With a ``reason`` for fewer than 10 values (2 if xmin is given) or a sample without spread.
    """
    x = positive_sample(value)
    found = _search(x) if xmin is None else _at(x, xmin)
    if found is None:
        return PowerLaw(
            alpha=None,
            alpha_error=None,
            xmin=None,
            n_tail=0,
            ks=None,
            reason=f"{x.size} positive values are too few",
        )
    start, exponent, distance = found
    n_tail = int(x.size - start)
    low = float(x[start]) if xmin is None else xmin
    return PowerLaw(
        alpha=1.0 + exponent,
        alpha_error=exponent / math.sqrt(n_tail),
        xmin=low,
        n_tail=n_tail,
        ks=distance,
        p_value=_bootstrap_p(x, start, exponent, distance, bootstrap, np.random.default_rng(seed))
        if bootstrap
        else None,
        alternatives=vuong_tests(np.log(x[start:] / low), exponent) if alternatives else (),
    )


@frozen(eq=False)
class _Steps:
    """The empirical distribution in logarithms, ties grouped.

    ``log`` float64[m] are the logarithms of the different values, ``rank`` int64[m + 1] the number of values below each
    and, last, of all; ``exponent`` float64[m] is alpha - 1 with each value as xmin, NaN where it has none.
    """

    log: NDArray[np.float64]
    rank: NDArray[np.int64]
    exponent: NDArray[np.float64]


def _steps(ordered: NDArray[np.float64]) -> _Steps:
    """Prepare an increasing positive sample, of at least one value, for the search."""
    log = np.log(ordered)
    first = np.concatenate(([0], np.flatnonzero(np.diff(log) > 0.0) + 1))
    rank = np.concatenate((first, [log.size]))
    log_value = log[first]
    # Sums from the top of spacings times counts: no cancellation, however small the spread is against the level.
    above = (log.size - rank[1:-1]).astype(np.float64)
    total = np.concatenate((np.cumsum((np.diff(log_value) * above)[::-1])[::-1], [0.0]))
    count = (log.size - first).astype(np.float64)
    exponent = np.full(log_value.size, np.nan)
    np.divide(count, total, out=exponent, where=total > 0.0)
    return _Steps(log=log_value, rank=rank, exponent=exponent)


def _witnessed(steps: _Steps, candidates: NDArray[np.int64], places: list[int]) -> NDArray[np.float64]:
    """Return a lower bound of each candidate's distance from a few places that all candidates are compared at."""
    found = np.zeros(candidates.size)
    per_value = 1.0 / (steps.rank[-1] - steps.rank[candidates])
    log, exponent = steps.log[candidates], steps.exponent[candidates]
    for place in places:
        reached = int(np.searchsorted(candidates, place, side="right"))  # the others begin above this place
        share = per_value[:reached]
        model = np.exp(exponent[:reached] * (log[:reached] - steps.log[place]))
        above = float(steps.rank[-1] - steps.rank[place]) * share - model
        below = model - float(steps.rank[-1] - steps.rank[place + 1]) * share
        np.maximum(found[:reached], np.maximum(above, below), out=found[:reached])
    return found


def _exact(steps: _Steps, candidate: int) -> tuple[float, tuple[int, int]]:
    """Return the exact distance of one candidate, and where its largest deviations of both signs are."""
    tail = float(steps.rank[-1] - steps.rank[candidate])
    model = np.exp(-steps.exponent[candidate] * (steps.log[candidate:] - steps.log[candidate]))
    survival = (steps.rank[-1] - steps.rank[candidate:]) / tail
    above = survival[:-1] - model
    below = model - survival[1:]
    high, low = int(np.argmax(above)), int(np.argmax(below))
    return max(float(above[high]), float(below[low])), (candidate + high, candidate + low)


def _search(ordered: NDArray[np.float64]) -> tuple[int, float, float] | None:
    """Return the rank of xmin, alpha - 1 and the distance for the best xmin."""
    if ordered.size < MIN_TAIL:
        return None
    steps = _steps(ordered)
    able = np.flatnonzero((steps.rank[-1] - steps.rank[:-1] >= MIN_TAIL) & np.isfinite(steps.exponent))
    if able.size == 0:
        return None
    best, distance = _branch_and_bound(steps, able)
    return int(steps.rank[best]), float(steps.exponent[best]), distance


def _branch_and_bound(steps: _Steps, candidates: NDArray[np.int64]) -> tuple[int, float]:
    """Return the candidate with the smallest exact distance (the first of several equal ones) and that distance.

    The bound of a candidate comes from the places where the candidates computed exactly so far deviate most: neighbours
    deviate at the same places, so these few witnesses are nearly as sharp as the whole tail.
    """
    distance, best = math.inf, -1
    bound = np.zeros(candidates.size)
    while candidates.size:
        # Of each stretch of survivors the most promising is computed exactly.
        stretches = np.array_split(np.arange(candidates.size), min(PROBES, candidates.size))
        probes = np.array([part[np.argmin(bound[part])] for part in stretches])
        witnesses: set[int] = set()
        for candidate in candidates[probes].tolist():
            exact, places = _exact(steps, candidate)
            witnesses.update(places)
            distance, best = min((distance, best), (exact, candidate))
        bound = np.maximum(bound, _witnessed(steps, candidates, sorted(witnesses)))
        bound[probes] = math.inf
        candidates, bound = candidates[bound <= distance], bound[bound <= distance]
    return best, distance


def _at(ordered: NDArray[np.float64], xmin: float) -> tuple[int, float, float] | None:
    """Return rank, alpha - 1 and distance for a given xmin."""
    start = int(np.searchsorted(ordered, xmin, side="left"))
    if not xmin > 0.0 or ordered.size - start < 2:
        return None
    log = np.log(ordered[start:] / xmin)
    total = float(log.sum())
    if not total > 0.0:
        return None
    exponent = log.size / total
    model = -np.expm1(-exponent * log)
    # Of a group of ties only its outer ends are steps of the distribution, and what lies between them is nearer to the model.
    share = np.arange(log.size + 1) / log.size
    distance = max(float(np.max(model - share[:-1])), float(np.max(share[1:] - model)))
    return start, exponent, distance


def _bootstrap_p(
    ordered: NDArray[np.float64], start: int, exponent: float, distance: float, draws: int, rng: np.random.Generator
) -> float:
    """Return the share of semi-parametric resamples that lie farther from their own best power law.

    Each resample draws the values below xmin from the data and those above from the fitted power law, and xmin is
    searched again (section 4.1 of the paper).
    """
    n = ordered.size
    body = ordered[:start]
    farther = 0
    for _ in range(draws):
        tail = int(rng.binomial(n, (n - start) / n)) if start else n
        power = ordered[start] * np.exp(rng.exponential(size=tail) / exponent)
        sample = np.concatenate((rng.choice(body, n - tail), power)) if start else power
        found = _search(np.sort(sample))
        farther += found is not None and found[2] >= distance
    return farther / draws
