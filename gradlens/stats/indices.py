"""Tail index xi from the largest order statistics: Hill, moment and Pickands estimators.

With L_i = ln x(i) - ln x(k+1) for the k largest values, descending, and M_r the mean of L^r:

* Hill (1975) M_1, for xi > 0 only, standard error xi / sqrt(k);
* moment (Dekkers, Einmahl and de Haan 1989, Annals of Statistics 17:1833) M_1 + 1 - 1/2 / (1 - M_1^2 / M_2), for
  any xi;
* Pickands (1975) ln((x(k) - x(2k)) / (x(2k) - x(4k))) / ln 2, for any xi, unaffected by shifts, but noisy.

How many values to use is chosen after Guillou and Hall (2001), Journal of the Royal Statistical Society B 63:293: the
first k at which the weighted log-spacings show a trend that chance does not explain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.robust import positive_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

CRITICAL = 1.25
MIN_K = 10


@frozen(eq=False)
class TailIndices:
    """Estimates of the tail index from k order statistics.

    Attributes
    ----------
    hill, hill_error : float or None
        Hill estimate and its standard error for independent values.
    moment, pickands : float or None
        The two others; Pickands is None where 4 k exceeds the sample.
    k : int
        Order statistics used.
    reason : str or None
        Why there are none.
    """

    hill: float | None
    hill_error: float | None
    moment: float | None
    pickands: float | None
    k: int
    reason: str | None = None


def descending_positive(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the finite positive values, largest first."""
    return positive_sample(value)[::-1]


def tail_indices(value: NDArray[np.float64], k: int | None = None) -> TailIndices:
    """Estimate the tail index three ways from the k largest values.

    Parameters
    ----------
    value : float64[n]
        The sample; only finite positive values count.
    k : int, optional
        Values to use; by default the choice of `guillou_hall`.

    Returns
    -------
    TailIndices
        With a ``reason`` for fewer than 20 values or ties throughout the tail.
    """
    x = descending_positive(value)
    if x.size < 2 * MIN_K:
        return TailIndices(
            hill=None,
            hill_error=None,
            moment=None,
            pickands=None,
            k=0,
            reason=f"only {x.size} values, {2 * MIN_K} needed",
        )
    k = guillou_hall(x) if k is None else k
    k = min(max(k, 2), x.size - 1)
    logs = np.log(x[:k]) - math.log(float(x[k]))
    first, second = float(logs.mean()), float(np.mean(logs**2))
    if not first > 0.0:
        return TailIndices(
            hill=None, hill_error=None, moment=None, pickands=None, k=k, reason="the largest values are all equal"
        )
    spread = 1.0 - first * first / second
    pickands = None
    if 4 * k <= x.size:
        upper, lower = float(x[k - 1] - x[2 * k - 1]), float(x[2 * k - 1] - x[4 * k - 1])
        pickands = math.log(upper / lower) / math.log(2.0) if upper > 0.0 and lower > 0.0 else None
    return TailIndices(
        hill=first,
        hill_error=first / math.sqrt(k),
        moment=first + 1.0 - 0.5 / spread if spread > 1e-12 else None,
        pickands=pickands,
        k=k,
    )


def guillou_hall(descending: NDArray[np.float64], largest_share: float = 0.5) -> int:
    """Return the number of order statistics after Guillou and Hall.

    With U_i = i (ln x(i) - ln x(i+1)), which are exponential with mean xi under an exact power law, and T_k = sqrt(3 /
    k^3) sum (k - 2 i + 1) U_i / mean U, which is then standard normal: the first k at which the root mean square of T_j
    over |j - k| <= k/2 reaches 1.25.

    Parameters
    ----------
    descending : float64[n]
        Positive values, largest first.
    largest_share : float
        Share of the sample considered.

    Returns
    -------
    int
        The largest k considered if the spacings never show a trend.
    """
    highest = min(int(largest_share * descending.size), descending.size - 1)
    k = np.arange(MIN_K, 2 * highest // 3 + 1)  # of which k and a half are there
    if k.size == 0:
        return max(highest, 1)
    logs = np.log(descending[: highest + 1])
    index = np.arange(1, highest + 1, dtype=np.float64)
    spacing = index * (logs[:-1] - logs[1:])
    total, weighted = np.cumsum(spacing), np.cumsum(index * spacing)
    mean = np.maximum(total / index, 1e-300)
    statistic = np.sqrt(3.0 / index**3) * ((index + 1.0) * total - 2.0 * weighted) / mean
    squares = np.concatenate(([0.0], np.cumsum(statistic**2)))
    half = k // 2
    local = (squares[k + half] - squares[k - half - 1]) / (2 * half + 1)
    passed = np.flatnonzero(np.sqrt(local) >= CRITICAL)
    return int(k[passed[0]]) if passed.size else int(k[-1])
