"""Where along a setting trouble begins: the best single cut of a sorted setting, with a p-value that knows it was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Half of the 95 % quantile of chi-square with one degree: cuts this close in log-likelihood are not told apart.
_CLOSE = 1.9207
MIN_RUNS = 8
_DRAWS = 999


@frozen
class Cut:
    """A cut of a setting into a quiet and a troubled side.

    Attributes
    ----------
    value
        The value of the setting that begins the side above the cut.
    low, high
        The smallest and largest value with a cut whose log-likelihood is within 1.92 of the best.
    rises
        Whether the side above has more trouble.
    p_value
        The share of permutations of the runs with a best cut at least as good, the observed one included.
    """

    value: float
    low: float
    high: float
    rises: bool
    p_value: float


def find_onset(setting: NDArray[np.float64], trouble: NDArray[np.bool_], *, seed: int = 0) -> Cut | None:
    """The cut of a setting that separates troubled runs best.

    Parameters
    ----------
    setting
        float64[n], in any order; NaN is left out.
    trouble
        bool[n], whether the run has a problem.
    seed
        Of the 999 permutations.

    Returns
    -------
    Cut or None
        None with fewer than 8 runs, one distinct value, or trouble in none or all.

    Notes
    -----
    The binomial likelihood with one rate on each side, maximised over cuts between distinct values; equal values stay
    together. The permutation p-value compares maxima, so it accounts for the choice of the cut.
    """
    known = np.isfinite(setting)
    x, y = setting[known], trouble[known].astype(np.float64)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    edges = np.flatnonzero(np.diff(x) > 0) + 1
    if len(x) < MIN_RUNS or len(edges) == 0 or y.sum() in {0.0, float(len(y))}:
        return None
    gain = _log_likelihood(y[None, :], edges)[0]
    best = int(np.argmax(gain))
    generator = np.random.default_rng(seed)
    shuffled = generator.permuted(np.repeat(y[None, :], _DRAWS, axis=0), axis=1)
    extreme = _log_likelihood(shuffled, edges).max(axis=1)
    near = edges[gain >= gain[best] - _CLOSE]
    at = int(edges[best])
    return Cut(
        value=float(x[at]),
        low=float(x[near[0]]),
        high=float(x[near[-1]]),
        rises=bool(y[at:].mean() > y[:at].mean()),
        p_value=float((1 + np.count_nonzero(extreme >= gain[best] - 1e-12)) / (_DRAWS + 1)),
    )


def _log_likelihood(y: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64[m, k]: of m orderings of the outcomes, the log-likelihood of each of k cuts."""
    n = y.shape[1]
    sums = np.cumsum(y, axis=1)
    below = sums[:, edges - 1]
    above = sums[:, -1:] - below
    left = edges.astype(np.float64)
    return _binomial(below, left) + _binomial(above, n - left)


def _binomial(hits: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
    rate = hits / n
    with np.errstate(divide="ignore", invalid="ignore"):
        found = hits * np.log(rate) + (n - hits) * np.log1p(-rate)
    result: NDArray[np.float64] = np.where((hits == 0) | (hits == n), 0.0, found)
    return result
