"""How much independent information a dependent series holds.

Gradient norms are autocorrelated, so n steps are worth fewer than n independent observations. This module measures that
in four ways: the autocovariance, the effective sample size that follows from it, the block length that a bootstrap
needs, and the extremal index, which is the share of exceedances that start a cluster.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray


def inner(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the sum of products of two float64[n] arrays without BLAS.

    The threads that BLAS starts for a long dot product cost a thousand times the product on a busy machine.
    """
    return float(np.einsum("i,i->", a, b))


def autocovariance(value: NDArray[np.float64], max_lag: int) -> NDArray[np.float64]:
    """Return the sample autocovariance at lags 0..max_lag, divided by n at every lag.

    Parameters
    ----------
    value : float64[n]
        Finite values; a series with NaN gives NaN.
    max_lag : int
        Largest lag, cut to n - 1.

    Returns
    -------
    float64[max_lag + 1]
        Zero for a constant series, empty for an empty one. Long ranges of lags go by FFT, a few by direct sums.
    """
    n = value.size
    if n == 0:
        return np.zeros(0)
    max_lag = min(max_lag, n - 1)
    centred = value - value.mean()
    if max_lag <= 32:
        return np.array([inner(centred[: n - lag], centred[lag:]) / n for lag in range(max_lag + 1)])
    # Frames against the same frames with ``max_lag`` more steps: short transforms stay in the cache.
    size = max(1 << 13, 1 << (2 * max_lag).bit_length())
    hop = size - max_lag
    frames = -(-n // hop)
    padded = np.zeros(frames * hop + max_lag)
    padded[:n] = centred
    longer = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    shorter = np.zeros((frames, size))
    shorter[:, :hop] = longer[:, :hop]
    spectrum = np.zeros(size // 2 + 1, dtype=np.complex128)
    for first in range(0, frames, 32):
        part = slice(first, first + 32)
        spectrum += (np.fft.rfft(shorter[part], axis=1).conj() * np.fft.rfft(longer[part], axis=1)).sum(axis=0)
    return np.asarray(np.fft.irfft(spectrum, size)[: max_lag + 1] / n)


def flat_top_weights(bandwidth: int, lags: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the trapezoidal lag window of Politis and Romano (1995): 1 up to half the bandwidth, then falling to 0."""
    return np.clip(2.0 * (1.0 - lags / max(bandwidth, 1)), 0.0, 1.0)


def flat_top_bandwidth(autocorrelation: NDArray[np.float64], n: int) -> int:
    """Return twice the lag after which the autocorrelation is negligible.

    The rule of Politis (2003), Journal of Nonparametric Statistics 15:559: the smallest lag m such that the K = max(5,
    sqrt(log10 n)) lags after it stay below 2 sqrt(log10(n) / n) in size. If none does, the whole range counts.

    Parameters
    ----------
    autocorrelation : float64[L + 1]
        Starting at lag 0.
    n : int
        Length of the series.
    """
    last = autocorrelation.size - 1
    if last < 1 or n < 2:
        return 1
    run = 5  # the root of log10(n) is no more before n has 26 digits
    small = np.abs(autocorrelation[1:]) < 2.0 * math.sqrt(math.log10(n) / n)
    quiet = np.concatenate(([0], np.cumsum(small)))
    starts = np.flatnonzero(quiet[run:] - quiet[:-run] == run)
    return int(min(max(2 * starts[0], 1) if starts.size else last, last))


def effective_size(value: NDArray[np.float64], max_lag: int = 1000) -> float:
    """Return the number of independent observations whose mean would be as uncertain as that of this series.

    n * gamma_0 / (gamma_0 + 2 sum lambda_k gamma_k) with flat-top weights lambda_k and the bandwidth rule of Politis
    (2003). It is capped at n: negative dependence is real, but a cap keeps the interval honest where the estimate is
    not.

    Parameters
    ----------
    value : float64[n]
        Finite values.
    max_lag : int
        Largest lag considered.

    Returns
    -------
    float
        n for a constant series or fewer than 10 values; otherwise between 1 and n.
    """
    n = value.size
    gamma = autocovariance(value, min(max_lag, n // 2))
    if n < 10 or gamma[0] <= 0.0:
        return float(n)
    bandwidth = flat_top_bandwidth(gamma / gamma[0], n)
    lags = np.arange(1, gamma.size)
    long_run = gamma[0] + 2.0 * inner(flat_top_weights(bandwidth, lags), gamma[1:])
    return float(np.clip(n * gamma[0] / long_run, 1.0, n)) if long_run > 0.0 else float(n)


@frozen(eq=False)
class BlockLength:
    """Block lengths that minimise the error of a bootstrapped variance.

    Attributes
    ----------
    stationary, circular : float
        Expected block length of the stationary bootstrap, and block length of the circular one; at least 1.
    """

    stationary: float
    circular: float


def block_length(value: NDArray[np.float64]) -> BlockLength:
    """Return the automatic block length of Politis and White (2004) with the correction of Patton et al. (2009).

    With G the sum of lambda_k |k| gamma_k and g the flat-top spectral density at zero, the block length is (2 G^2 /
    D)^(1/3) n^(1/3), where D is 2 g^2 for the stationary and 4/3 g^2 for the circular bootstrap; it is capped at min(3
    sqrt(n), n / 3).

    Parameters
    ----------
    value : float64[n]
        Finite values.

    Returns
    -------
    BlockLength
        Both 1 for a constant series or fewer than 10 values.

    Notes
    -----
    Econometric Reviews 23:53 and 28:372.
    """
    n = value.size
    if n < 10 or not np.ptp(value) > 0.0:
        return BlockLength(stationary=1.0, circular=1.0)
    run = max(5, int(math.log10(n)))
    longest = math.ceil(math.sqrt(n)) + run
    centred = value - value.mean()
    gamma = autocovariance(value, longest)
    correlation = np.zeros(longest)
    for lag in range(1, min(longest, n - 2) + 1):
        # The correction counts each lag's own pairs, so both parts are normalised separately.
        head, tail = centred[: n - lag], centred[lag:]
        size = math.sqrt(inner(head, head) * inner(tail, tail))
        correlation[lag - 1] = abs(inner(head, tail)) / size if size > 0.0 else 0.0
    bound = 2.0 * math.sqrt(math.log10(n) / n)
    bandwidth = min(2 * _first_quiet_lag(correlation, bound, run), longest)
    lags = np.arange(1, bandwidth + 1)
    weight = flat_top_weights(bandwidth, lags)
    slope = 2.0 * float(np.sum(weight * lags * gamma[lags]))
    density = float(gamma[0] + 2.0 * np.sum(weight * gamma[lags]))
    ceiling = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    if not density**2 > 0.0:
        return BlockLength(stationary=1.0, circular=1.0)
    stationary = (2.0 * slope**2 / (2.0 * density**2) * n) ** (1.0 / 3.0)
    circular = (2.0 * slope**2 / (4.0 / 3.0 * density**2) * n) ** (1.0 / 3.0)
    return BlockLength(stationary=min(max(stationary, 1.0), ceiling), circular=min(max(circular, 1.0), ceiling))


def _first_quiet_lag(correlation: NDArray[np.float64], bound: float, run: int) -> int:
    """Return the first lag of the first ``run`` lags in a row below the bound; all lags if there is none.

    Politis and White count the lag before it; taking the first quiet lag itself is what the implementations in use do,
    and what the reference value in the tests comes from.
    """
    quiet = np.concatenate(([0], np.cumsum(correlation < bound)))
    starts = np.flatnonzero(quiet[run:] - quiet[:-run] == run)
    return int(starts[0]) + 1 if starts.size else correlation.size


def stationary_bootstrap(n: int, expected_block: float, draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return resampled positions of the stationary bootstrap of Politis and Romano (1994).

    Blocks start anywhere, have geometric lengths and wrap around the end of the series.

    Parameters
    ----------
    n : int
        Length of the series, at least 1.
    expected_block : float
        Mean block length, at least 1, see `block_length`.
    draws : int
        Number of resampled series; draws times n must stay below 2^31.
    rng : numpy.random.Generator
        Seeded by the caller.

    Returns
    -------
    int32[draws, n]
    """
    # All resamples as one long row, in which a new block begins at random and where the next resample does.
    total = draws * n
    fresh = rng.random(total, dtype=np.float32) < np.float32(1.0 / expected_block)
    fresh[::n] = True
    begin = np.flatnonzero(fresh).astype(np.int32)
    start = rng.integers(0, n, size=begin.size, dtype=np.int32)
    block = np.cumsum(fresh, dtype=np.int32)
    block -= 1
    position = (start - begin)[block]
    position += np.arange(total, dtype=np.int32)
    np.subtract(position, n, out=position, where=position >= n)
    return position.reshape(draws, n)


@frozen(eq=False)
class ExtremalIndex:
    """How strongly exceedances come in clusters.

    Attributes
    ----------
    theta : float
        1 for isolated exceedances; 1/theta is the mean cluster size.
    widening : float
        Factor by which a standard error of the tail grows at least: 1/sqrt(theta). Simulated errors of the Hill estimate
        grew 1.4 times at theta .5 and 2.2 times at .2 where clusters are copies or running maxima of independent values,
        and up to 1.9 and 2.9 times where the values decay through a cluster.
    exceedances : int
        Points above the threshold.
    reason : str or None
        Why theta is only assumed to be 1.
    """

    theta: float
    widening: float
    exceedances: int
    reason: str | None = None


def extremal_index(positions: NDArray[np.int64]) -> ExtremalIndex:
    """Estimate the extremal index from the gaps between exceedances.

    Parameters
    ----------
    positions : int64[N]
        Increasing positions of the values above a high threshold.

    Returns
    -------
    ExtremalIndex
        theta 1 with a reason for fewer than 3 exceedances.

    Notes
    -----
    The intervals estimator of Ferro and Segers (2003), Journal of the Royal Statistical Society B 65:545, equations 5
    and 6: with gaps T, 2 (sum T)^2 / ((N - 1) sum T^2) while no gap exceeds 2, otherwise
    2 (sum (T - 1))^2 / ((N - 1) sum (T - 1)(T - 2)); never above 1.
    """
    count = int(positions.size)
    if count < 3:
        return ExtremalIndex(theta=1.0, widening=1.0, exceedances=count, reason="fewer than 3 exceedances")
    gap = np.diff(positions).astype(np.float64)
    # While no gap exceeds 2 the first form is at least 16/9, so it is cut to 1.
    theta = 1.0
    if gap.max() > 2.0:
        theta = min(1.0, 2.0 * float(np.sum(gap - 1.0)) ** 2 / (gap.size * float(np.sum((gap - 1.0) * (gap - 2.0)))))
    return ExtremalIndex(theta=theta, widening=1.0 / math.sqrt(theta), exceedances=count)
