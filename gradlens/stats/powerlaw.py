"""Power-law tails after Clauset, Shalizi and Newman.

For x >= xmin the density is proportional to x^-alpha. alpha = 1 + n / sum ln(x / xmin) by maximum likelihood with
standard error (alpha - 1) / sqrt(n); xmin is the value for which the two-sided Kolmogorov-Smirnov distance between data
and fit is smallest; whether the result is credible is a separate question, answered by a semi-parametric bootstrap and
by Vuong tests against other families (SIAM Review 51:661, 2009, equations 3.1 to 3.9 and appendix C).

**Speed.** The usual search costs n^2. Here the distance of every candidate is first bounded from below on a few order
statistics; a candidate whose bound already exceeds the best distance found is dropped for good, and the others get
more points. The minimum found is exact up to 16,384 different values. In longer samples the search starts
on 2,000 candidates spread over ranks and goes on between the neighbours of the best: alpha and the distance are
indistinguishable from the full search, xmin may be another of several equally good values.

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
EXACT_UP_TO = 1 << 14
THINNED = 1 << 10
FINEST_GRID = 1 << 13
PROBES = 16
_CHUNK = 200_000  # deviations computed at a time, small enough for the cache
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
    count: NDArray[np.int64]
    exponent: NDArray[np.float64]


def _steps(ordered: NDArray[np.float64]) -> _Steps:
    """Prepare an increasing positive sample for the search."""
    log = np.log(ordered)
    first = np.concatenate(([0], np.flatnonzero(np.diff(log) > 0.0) + 1)) if log.size else np.zeros(0, dtype=np.int64)
    rank = np.concatenate((first, [log.size]))
    log_value = log[first]
    # Sums from the top of spacings times counts: no cancellation, however small the spread is against the level.
    above = (log.size - rank[1:-1]).astype(np.float64)
    total = np.concatenate((np.cumsum((np.diff(log_value) * above)[::-1])[::-1], [0.0]))
    count = (log.size - first).astype(np.float64)
    exponent = np.full(log_value.size, np.nan)
    np.divide(count, total, out=exponent, where=total > 0.0)
    return _Steps(log=log_value, rank=rank, count=np.diff(rank), exponent=exponent)


def _distances(steps: _Steps, candidates: NDArray[np.int64], points: int) -> NDArray[np.float64]:
    """Return the distance of each candidate over at most ``points`` of its order statistics: a lower bound."""
    span = (steps.log.size - 1 - candidates)[:, None]
    share = np.linspace(0.0, 1.0, points)[None, :]
    rows = max(1, _CHUNK // points)
    parts = range(0, candidates.size, rows)
    return np.concatenate(
        [
            _deviation(
                steps,
                candidates[i : i + rows],
                candidates[i : i + rows, None] + (share * span[i : i + rows]).astype(np.int64),
            )
            for i in parts
        ]
    )


def _deviation(steps: _Steps, candidates: NDArray[np.int64], grid: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the largest two-sided deviation of each candidate's power law over its row of ``grid`` int64[c, m]."""
    per_value = 1.0 / (steps.rank[-1] - steps.rank[candidates])[:, None]
    model = steps.log[grid]
    model -= steps.log[candidates][:, None]
    model *= -steps.exponent[candidates][:, None]
    np.exp(model, out=model)  # the survival function
    gap = (steps.rank[-1] - steps.rank[grid]) * per_value - model
    above = gap.max(axis=1)
    # Just after a step the empirical survival is lower by the share of that step.
    gap -= steps.count[grid] * per_value
    return np.asarray(np.maximum(above, -gap.min(axis=1)))


def _witnessed(steps: _Steps, candidates: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a lower bound of each candidate's distance from a few places that all candidates are compared at."""
    found = np.zeros(candidates.size)
    per_value = 1.0 / (steps.rank[-1] - steps.rank[candidates])
    log, exponent = steps.log[candidates], steps.exponent[candidates]
    for place in places.tolist():
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
    if able.size <= EXACT_UP_TO:
        best, distance = _branch_and_bound(steps, able)
    else:
        even = np.linspace(0, able.size - 1, THINNED).astype(np.int64)
        # As many again spread over the logarithm of the tail size, or a short tail would have none.
        short = able.size - np.geomspace(1, able.size, THINNED).astype(np.int64)
        coarse = np.unique(np.concatenate((even, short)))
        at = int(np.searchsorted(able[coarse], _best_on_grid(steps, able[coarse])))
        left, right = int(coarse[max(at - 1, 0)]), int(coarse[min(at + 1, coarse.size - 1)])
        best = _best_on_grid(steps, able[left : right + 1 : max(1, (right - left) // THINNED)])
        distance = _exact(steps, best)[0]
    return int(steps.rank[best]), float(steps.exponent[best]), distance


def _best_on_grid(steps: _Steps, candidates: NDArray[np.int64]) -> int:
    """Return the candidate with the smallest distance over up to 8,192 of its order statistics, dropping the worse half early."""
    points = 64
    bound = _distances(steps, candidates, points)
    while candidates.size > 1 and points < FINEST_GRID:
        points *= 2
        candidates = candidates[np.argsort(bound, kind="stable")[: max(candidates.size // 2, 1)]]
        bound = _distances(steps, candidates, points)
    return int(candidates[np.argmin(bound)])


def _branch_and_bound(steps: _Steps, candidates: NDArray[np.int64]) -> tuple[int, float]:
    """Return the candidate with the smallest exact distance (the first of several equal ones) and that distance.

    The bound of a candidate comes from a grid over its own tail and from the steps where the candidates computed
    exactly so far deviate most: neighbours deviate at the same places, so these few witnesses are nearly as sharp as
    the whole tail.
    """
    distance, best = math.inf, -1
    points = 16
    # The first bound comes from places that all share: evenly spaced, and as many spread over the logarithm of the tail.
    last = steps.log.size - 1
    grid = np.concatenate((np.linspace(0, last, points), last + 1 - np.geomspace(1, last + 1, points)))
    bound = _witnessed(steps, candidates, np.unique(grid.astype(np.int64)))
    while candidates.size:
        # Of each stretch of survivors the most promising is computed exactly; at first of all of them, to drop the hopeless.
        stretches = np.array_split(np.arange(candidates.size), min(PROBES, candidates.size) if best >= 0 else 1)
        probes = np.array([part[np.argmin(bound[part])] for part in stretches], dtype=np.int64)
        witnesses: set[int] = set()
        for candidate in candidates[probes].tolist():
            exact, places = _exact(steps, candidate)
            witnesses.update(places)
            if exact < distance or (exact == distance and candidate < best):
                distance, best = exact, candidate
        keep = bound <= distance
        keep[probes] = False
        candidates, bound = candidates[keep], bound[keep]
        bound = np.maximum(bound, _witnessed(steps, candidates, np.array(sorted(witnesses), dtype=np.int64)))
        candidates, bound = candidates[bound <= distance], bound[bound <= distance]
        if candidates.size > PROBES:
            points = min(points * 2, 512)
            bound = np.maximum(bound, _distances(steps, candidates, points))
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
