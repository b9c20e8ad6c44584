"""Whether one training run, or a group of runs, is worse than another by more than chance.

Three comparisons, by what is known:

*One run against one*: both are cut into the same blocks of steps, so that a drift of the level cancels, and the differences
of the blocks are judged by the variance of the stationary bootstrap (`block_difference`). It sees the noise within a run
only; two seeds of one training differ by more than that, which is why the caller adds a minimum effect.

*Groups of runs*: the run is the unit (`run_difference`), with the variance between runs.

*Counts of rare events*: an exact conditional test (`count_difference`).
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.dependence import block_length
from gradlens.stats.student import binomial_sf, student_quantile, student_sf

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ARRANGEMENTS = 20_000


@frozen(eq=False)
class Difference:
    """Candidate minus baseline.

    Attributes
    ----------
    change : float
        The estimate.
    standard_error : float
        0 where nothing varies.
    df : float
        Degrees of freedom of the t distribution used; infinite for a normal or exact test.
    interval : tuple of float
        Two-sided, at the confidence asked for.
    p_higher, p_two_sided : float
        p-values of "the candidate is not higher" and of "there is no difference".
    n_effective : float or None
        Independent blocks or runs that carry the same information, where that has a meaning.
    p_permutation : float or None
        Exact one-sided p of exchanging runs between the groups, where there are groups.
    """

    change: float
    standard_error: float
    df: float
    interval: tuple[float, float]
    p_higher: float
    p_two_sided: float
    n_effective: float | None = None
    p_permutation: float | None = None


def block_difference(
    difference: NDArray[np.float64],
    weight: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    least_variance: float = 0.0,
) -> Difference:
    """Judge the weighted mean of the differences of two runs, block by block.

    Parameters
    ----------
    difference : float64[k]
        Candidate minus baseline in each block of steps, in order.
    weight : float64[k]
        Weight of each block, for instance its number of steps; not negative.
    confidence : float
        Of the interval.
    least_variance : float
        Variance that the mean cannot fall below, for instance that of independent steps: where events are rare, blocks
        without any would otherwise claim certainty.

    Returns
    -------
    Difference
        For no block with weight NaN, with p-values of 1 and no degrees of freedom. With fewer than 3 blocks the interval is infinite.

    Notes
    -----
    The variance of the mean under the stationary bootstrap has a closed form (Politis and Romano 1994, Journal of the
    American Statistical Association 89:1303, lemma 1), so no random draws are needed and a gate gives the same verdict
    twice. The block length is that of Politis and White (2004). The degrees of freedom, number of blocks over block
    length minus one, are our own choice.
    """
    use = (weight > 0.0) & np.isfinite(difference)
    value, share = difference[use], weight[use]
    k = value.size
    if k == 0:
        return _nothing()
    share = share / share.sum()
    change = float(np.dot(share, value))
    # Of a weighted mean: each block contributes k * share * (value - mean) / k.
    influence = k * share * (value - change)
    expected = block_length(influence).stationary
    variance = max(stationary_variance(influence, expected) / max(k - 1, 1), least_variance)
    df = max(k / expected - 1.0, 1.0) if k >= 3 else 0.0
    return _by_t(change, math.sqrt(variance), df, confidence)


def stationary_variance(influence: NDArray[np.float64], expected_block: float) -> float:
    """Return n times the variance of the mean of a centred series under the stationary bootstrap.

    Parameters
    ----------
    influence : float64[n]
        Centred values.
    expected_block : float
        Mean block length, at least 1.

    Returns
    -------
    float
        Not negative; 0 for fewer than 2 values.
    """
    n = influence.size
    if n < 2:
        return 0.0
    spectrum = np.fft.rfft(influence)
    # The bootstrap wraps around, so the autocovariance is the circular one.
    gamma = np.fft.irfft((spectrum * spectrum.conj()).real, n) / n
    lag = np.arange(1, n)
    stay = 1.0 - 1.0 / expected_block
    share = lag / n
    kernel = (1.0 - share) * stay**lag + share * stay ** (n - lag)
    return max(float(gamma[0] + np.dot(kernel, gamma[1:])), 0.0)


def run_difference(
    candidate: NDArray[np.float64],
    baseline: NDArray[np.float64],
    *,
    prior_deviation: float,
    prior_df: float,
    within_variance: float = 0.0,
    confidence: float = 0.95,
) -> Difference:
    """Judge the difference of the means of two groups of runs; the run is the unit.

    Parameters
    ----------
    candidate, baseline : float64[m], float64[k]
        One value per run; at least one each, and at least three together.
    prior_deviation, prior_df : float
        Deviation between runs that is assumed, and how many degrees of freedom that assumption is worth.
    within_variance : float
        Variance of one run's value that is known from within the run; the variance between runs cannot be smaller.
    confidence : float
        Of the interval.

    Returns
    -------
    Difference
        With ``n_effective`` the number of runs.

    Notes
    -----
    A t test with a variance moderated as in Smyth (2004), Statistical Applications in Genetics and Molecular Biology 3:3:
    (d0 s0^2 + d s^2) / (d0 + d) with d0 + d degrees of freedom. Two or three seeds that happen to agree would otherwise
    make every later run look different. Smyth estimates the prior from data; ours is set by the caller.
    """
    m, k = candidate.size, baseline.size
    change = float(candidate.mean() - baseline.mean())
    df = m + k - 2
    squares = float(np.sum((candidate - candidate.mean()) ** 2) + np.sum((baseline - baseline.mean()) ** 2))
    moderated = (prior_df * prior_deviation**2 + squares) / (prior_df + df)
    variance = max(moderated, within_variance) * (1.0 / m + 1.0 / k)
    found = _by_t(change, math.sqrt(variance), prior_df + df, confidence)
    return Difference(
        change=found.change, standard_error=found.standard_error, df=found.df, interval=found.interval,
        p_higher=found.p_higher, p_two_sided=found.p_two_sided, n_effective=float(m + k),
        p_permutation=permutation_p(candidate, baseline),
    )  # fmt: skip


def permutation_p(candidate: NDArray[np.float64], baseline: NDArray[np.float64]) -> float | None:
    """Return the exact one-sided p of "the candidate's mean is not higher", by exchanging runs between the groups.

    Returns
    -------
    float or None
        At least 1 / (number of arrangements): 3 against 3 runs cannot go below .05, 5 against 5 reach .004. None for
        fewer than 2 runs per side or more than 20,000 arrangements.
    """
    m, total = candidate.size, candidate.size + baseline.size
    if min(m, total - m) < 2 or math.comb(total, m) > MAX_ARRANGEMENTS:
        return None
    value = np.concatenate((candidate, baseline))
    sums = np.array([value[list(chosen)].sum() for chosen in combinations(range(total), m)])
    slack = 1e-12 * float(np.abs(value).sum())
    return float(np.mean(sums >= candidate.sum() - slack))


def count_difference(
    candidate: int, candidate_steps: float, baseline: int, baseline_steps: float, *, confidence: float = 0.95
) -> Difference:
    """Judge the difference of the rates of rare, independent events.

    Parameters
    ----------
    candidate, baseline : int
        Events, declustered.
    candidate_steps, baseline_steps : float
        Steps watched, positive.

    Returns
    -------
    Difference
        ``change`` is the difference of events per step; its interval is a normal one with half an event added to each
        count, and only the p-values are exact.

    Notes
    -----
    Given their sum, the candidate's count is binomial if both rates are equal (Przyborowski and Wilenski 1940, Biometrika
    31:313).
    """
    total = candidate + baseline
    share = candidate_steps / (candidate_steps + baseline_steps)
    higher = binomial_sf(candidate, total, share)
    lower = 1.0 - binomial_sf(candidate + 1, total, share)
    change = candidate / candidate_steps - baseline / baseline_steps
    error = math.sqrt((candidate + 0.5) / candidate_steps**2 + (baseline + 0.5) / baseline_steps**2)
    half = student_quantile(0.5 + 0.5 * confidence, math.inf) * error
    return Difference(
        change=change, standard_error=error, df=math.inf, interval=(change - half, change + half), p_higher=higher,
        p_two_sided=min(1.0, 2.0 * min(higher, lower)),
    )  # fmt: skip


def first_divergence(
    difference: NDArray[np.float64], noise: NDArray[np.float64], *, sigmas: float, in_a_row: int
) -> int | None:
    """Return the first position from which a difference stays beyond the noise.

    Parameters
    ----------
    difference, noise : float64[n]
        Difference of two curves, and the deviation expected of it, at each point. NaN differences (one of the curves is
        not finite) count as beyond.
    sigmas : float
        How many deviations are beyond.
    in_a_row : int
        Points in a row that must be beyond, with one sign.

    Returns
    -------
    int or None
        None where the curves never part.
    """
    lost = ~np.isfinite(difference)
    high = lost | (difference > sigmas * noise)
    low = lost | (difference < -sigmas * noise)
    found = []
    for beyond in (high, low):
        seen = np.concatenate(([0], np.cumsum(beyond)))
        runs = np.flatnonzero(seen[in_a_row:] - seen[:-in_a_row] == in_a_row)
        found.extend(runs[:1].tolist())
    return min(found, default=None)


def _by_t(change: float, error: float, df: float, confidence: float) -> Difference:
    if df <= 0.0:
        return Difference(
            change=change, standard_error=error, df=0.0, interval=(-math.inf, math.inf), p_higher=1.0, p_two_sided=1.0
        )
    certain = math.copysign(math.inf, change) if change else 0.0
    t = change / error if error > 0.0 else certain
    half = student_quantile(0.5 + 0.5 * confidence, df) * error
    return Difference(
        change=change, standard_error=error, df=df, interval=(change - half, change + half),
        p_higher=student_sf(t, df), p_two_sided=min(1.0, 2.0 * student_sf(abs(t), df)),
    )  # fmt: skip


def _nothing() -> Difference:
    nan = math.nan
    return Difference(change=nan, standard_error=nan, df=0.0, interval=(nan, nan), p_higher=1.0, p_two_sided=1.0)
