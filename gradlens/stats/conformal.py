"""How unlike others one row of figures is, with a chance of a false alarm that holds whatever their distribution.

Full conformal prediction [1]_: the row in question is put among the others, every row is scored by a rule that does not know
which is which, and the p-value is the share of rows with a score at least as large. If the row was drawn like the others,
its rank is uniform, so p <= alpha happens in at most alpha of cases: with n others in floor(alpha (n + 1)) / (n + 1) of
them where no scores tie, and in fewer with ties.

The score is the largest deviation over all figures, each in units of its own spread; the same maximum over each row
calibrates all figures at once, as in the step-down maxT of [2]_, so that no correction for their number is needed.

References
----------
.. [1] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2nd ed., 2022, section 2.2 (2.18).
.. [2] P. H. Westfall, S. S. Young, "Resampling-Based Multiple Testing", 1993, section 2.6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The unit of a deviation is this quantile of its sizes. High, so that a figure with heavy tails, which would otherwise hold
#: the largest score of many rows, does not hide the others; below the share that a faulty row or two could reach. Our own
#: choice, made on the first projects of `benchmarks.gate.population`.
SPREAD_QUANTILE = 0.9


@frozen(eq=False)
class Rank:
    """How one row ranks among others.

    Attributes
    ----------
    others
        How many there are.
    p_value
        Chance of a row at least as unlike the rest, if it is like them.
    score, bound
        Its score, and the score that it must pass for p <= alpha; infinite where too few others are there.
    deviations
        Its deviation in each figure, in units of the spread; 0 for a figure that is missing.
    p_values
        For each figure the share of rows whose *largest* deviation is at least this one: corrected for the choice among
        figures.
    centres, allowed
        The median of each figure, and how far from it the bound is, in the unit of the figure.
    """

    others: int
    p_value: float
    score: float
    bound: float
    deviations: NDArray[np.float64]
    p_values: NDArray[np.float64]
    centres: NDArray[np.float64]
    allowed: NDArray[np.float64]


def smallest_p_value(others: int) -> float:
    """The p-value of a row that is more unlike the rest than any of `others`."""
    return 1.0 / (others + 1)


def false_alarm_rate(others: int, alpha: float) -> float:
    """The chance that a row like `others` has p <= alpha, where no scores tie."""
    return math.floor(alpha * (others + 1) + 1e-9) / (others + 1)


def fewest_others(alpha: float) -> int:
    """How many others there must be for p <= alpha to be possible."""
    return math.ceil(1.0 / alpha - 1e-9) - 1


def rank_among(
    row: NDArray[np.float64],
    others: NDArray[np.float64],
    *,
    alpha: float,
    upward: NDArray[np.bool_],
    least: NDArray[np.float64],
) -> Rank:
    """The conformal rank of `row`.

    Parameters
    ----------
    row
        Figures, (m,); NaN where one is missing.
    others
        Figures of the rows to compare with, (n, m).
    alpha
        The chance of a false alarm that is allowed.
    upward
        Whether only large values of a figure count, (m,).
    least
        Deviations from the median up to this size do not count, and no spread is taken for smaller, (m,), positive. It must
        not depend on which row is the one in question.
    """
    everything = np.vstack([others, row[None, :]])
    with np.errstate(invalid="ignore", over="ignore"):
        centres, units, sizes = _deviations(everything, upward, least)
        scaled = sizes / units
    scores = scaled.max(axis=1, initial=0.0)
    n = len(others)
    own = float(scores[-1])
    allowed_above = math.floor(alpha * (n + 1) + 1e-9)
    # One of the places above the bound is the row's own.
    bound = float(np.sort(scores[:-1])[n - allowed_above]) if 1 <= allowed_above <= n else math.inf
    at_least = (scores[:-1, None] >= scaled[-1][None, :]).sum(axis=0)
    return Rank(
        others=n,
        p_value=float((1 + (scores[:-1] >= own).sum()) / (n + 1)),
        score=own,
        bound=bound,
        deviations=scaled[-1],
        p_values=(1 + at_least) / (n + 1),
        centres=centres,
        allowed=least + bound * units,
    )


def _deviations(
    everything: NDArray[np.float64], upward: NDArray[np.bool_], least: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Medians, units and deviations beyond the slack of all rows, (m,), (m,) and (n + 1, m)."""
    m = everything.shape[1]
    centres, units = np.full(m, np.nan), least.copy()
    sizes = np.zeros(everything.shape)
    known = np.isfinite(everything)
    whole = np.flatnonzero(known.all(axis=0))
    parts = [(whole, np.ones(len(everything), dtype=bool))] if len(whole) else []
    parts += [(np.array([j]), known[:, j]) for j in np.flatnonzero(known.any(axis=0) & ~known.all(axis=0))]
    for columns, rows in parts:
        values = everything[rows][:, columns]
        centres[columns] = np.median(values, axis=0)
        away = values - centres[columns]
        size = np.maximum(np.where(upward[columns], away, np.abs(away)) - least[columns], 0.0)
        units[columns] = np.maximum(np.quantile(size, SPREAD_QUANTILE, axis=0), least[columns])
        sizes[np.ix_(np.flatnonzero(rows), columns)] = size
    return centres, units, sizes
