"""Holm's step-down correction for testing several hypotheses at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Adjust p-values so that the chance of any false rejection stays below the level used.

    The smallest of m p-values is multiplied by m, the next by m - 1 and so on; adjusted values never decrease along the
    ordering and never exceed 1. Tests that could not be carried out (``None``) stay ``None`` and do not count.

    Parameters
    ----------
    p_values : sequence of float or None
        Raw p-values, in any order.

    Returns
    -------
    tuple of float or None
        Adjusted p-values in the order given.

    Notes
    -----
    Holm (1979), Scandinavian Journal of Statistics 6:65, the sequentially rejective Bonferroni test.
    """
    order = sorted((p, position) for position, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    worst = 0.0
    for rank, (p, position) in enumerate(order):
        worst = max(worst, min(1.0, p * (len(order) - rank)))
        adjusted[position] = worst
    return tuple(adjusted)
