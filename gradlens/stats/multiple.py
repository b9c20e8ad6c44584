"""Holm's step-down correction for testing several hypotheses at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(p_values: Sequence[float | None], weights: Sequence[float] | None = None) -> tuple[float | None, ...]:
    """Adjust p-values so that the chance of any false rejection stays below the level used.

    The smallest of m p-values is multiplied by m, the next by m - 1 and so on; adjusted values never decrease along the
    ordering and never exceed 1. Tests that could not be carried out (``None``) stay ``None`` and do not count.

    Parameters
    ----------
    p_values : sequence of float or None
        Raw p-values, in any order.
    weights : sequence of float, optional
        Positive; a test with twice the weight gets twice the share of the level. Equal weights give the plain method.

    Returns
    -------
    tuple of float or None
        Adjusted p-values in the order given.

    Notes
    -----
    Holm (1979), Scandinavian Journal of Statistics 6:65, the sequentially rejective Bonferroni test; its weighted form
    is in section 4 there: tests are ordered by p / weight, and the factor is the weight left over the test's own.
    """
    share = [1.0] * len(p_values) if weights is None else list(weights)
    order = sorted((p / share[position], position) for position, p in enumerate(p_values) if p is not None)
    left = sum(share[position] for _, position in order)
    adjusted: list[float | None] = [None] * len(p_values)
    worst = 0.0
    for ratio, position in order:
        worst = max(worst, min(1.0, ratio * left))
        adjusted[position] = worst
        left -= share[position]
    return tuple(adjusted)
