"""Values that are not finite, the loss scale, and how the run ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradlens.signals import Signals

if TYPE_CHECKING:
    from numpy.typing import NDArray

START = 0.05


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Numerics:
    """What the numbers themselves say.

    Attributes
    ----------
    overflow_share
        Share of the rows after the first 5 % with a norm that is not finite while the loss is.
    overflow_count
        Their number.
    longest_streak
        Longest run of rows with a loss or norm that is not finite.
    dead_share
        Share of the rows at the end in which no loss or no norm is finite.
    dead_from
        First of those rows, None where the run ends finite.
    zero_share
        Share of the norms that are exactly 0, and `zero_tail` whether the log ends with them.
    scale_fall
        log2 of the highest loss scale over the last one; 0 without the column.
    last_scale
        The last loss scale, NaN without the column.
    scale_halvings
        Rows at which the scale falls after the first 5 % of the rows.
    halving_streak
        Most falls of the scale in any 40 rows.
    """

    overflow_share: float
    overflow_count: int
    longest_streak: int
    dead_share: float
    dead_from: int | None
    zero_share: float
    zero_tail: bool
    scale_fall: float
    last_scale: float
    scale_halvings: int
    halving_streak: int


def numerics_of(signals: Signals) -> Numerics:
    """The numerics of a run."""
    n = len(signals)
    late = np.arange(n) >= START * n
    loss_bad = signals.has_loss & ~np.isfinite(signals.loss)
    norm_bad = signals.has_norm & ~np.isfinite(signals.norm)
    overflow = norm_bad & np.isfinite(signals.loss)
    scale = signals.loss_scale
    known = np.isfinite(scale) & (scale > 0)
    falls = np.zeros(n, dtype=bool)
    if known.any():
        with np.errstate(invalid="ignore"):
            falls[1:] = scale[1:] < 0.75 * scale[:-1]
    dead_from = _dead_from(signals, loss_bad, norm_bad)
    norms = max(int(signals.has_norm.sum()), 1)
    last_norms = signals.norm[signals.has_norm][-5:]
    return Numerics(
        overflow_share=float((overflow & late).sum()) / max(int((late & signals.has_norm).sum()), 1),
        overflow_count=int((overflow & late).sum()),
        longest_streak=_longest(loss_bad | norm_bad),
        dead_share=0.0 if dead_from is None else 1.0 - dead_from / n,
        dead_from=dead_from,
        zero_share=float((signals.norm == 0).sum()) / norms,
        zero_tail=len(last_norms) > 0 and bool((last_norms == 0).all()),
        scale_fall=float(np.log2(scale[known].max() / scale[known][-1])) if known.any() else 0.0,
        last_scale=float(scale[known][-1]) if known.any() else float("nan"),
        scale_halvings=int((falls & late).sum()),
        halving_streak=_densest(falls, 40),
    )


def _dead_from(signals: Signals, loss_bad: NDArray[np.bool_], norm_bad: NDArray[np.bool_]) -> int | None:
    """The first row from which on every logged loss, or every logged norm, is not finite; at least three rows of them."""
    found: list[int] = []
    for has, bad in ((signals.has_loss, loss_bad), (signals.has_norm, norm_bad)):
        rows = np.flatnonzero(has)
        if len(rows) >= 3 and bad[rows[-3:]].all():  # a single bad last row may be followed by anything
            good = np.flatnonzero(has & ~bad)
            found.append(int(good[-1]) + 1 if len(good) else int(rows[0]))
    return min(found, default=None)


def _longest(flags: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def _densest(flags: NDArray[np.bool_], width: int) -> int:
    total = np.concatenate(([0], np.cumsum(flags)))
    width = min(width, len(flags))
    return int((total[width:] - total[:-width]).max()) if width else 0
