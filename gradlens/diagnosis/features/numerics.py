"""Values that are not finite, the loss scale, and how the run ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.signals.axis import Signals
from gradlens.stats.spikes import stretches_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

START = 0.05


@frozen(eq=False)
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
    dead_from
        First of the rows at the end in which no loss or no norm is finite, None where the run ends finite.
    zero_tail
        Whether the log ends with norms of exactly 0.
    scale_fall
        log2 of the highest loss scale over the last one; 0 without the column.
    last_scale
        The last loss scale, NaN without the column.
    """

    overflow_share: float
    overflow_count: int
    longest_streak: int
    dead_from: int | None
    zero_tail: bool
    scale_fall: float
    last_scale: float


def numerics_of(signals: Signals) -> Numerics:
    """The numerics of a run."""
    n = len(signals)
    late = np.arange(n) >= START * n
    loss_bad, norm_bad = signals.bad_loss, signals.bad_norm
    overflow = norm_bad & np.isfinite(signals.loss)
    scale = signals.loss_scale
    known = np.isfinite(scale) & (scale > 0)
    dead_from = _dead_from(signals, loss_bad, norm_bad)
    last_norms = signals.norm[signals.has_norm][-5:]
    return Numerics(
        overflow_share=float((overflow & late).sum()) / max(int((late & signals.has_norm).sum()), 1),
        overflow_count=int((overflow & late).sum()),
        longest_streak=int(np.diff(stretches_of(loss_bad | norm_bad)).max(initial=0)),
        dead_from=dead_from,
        zero_tail=len(last_norms) > 0 and bool((last_norms == 0).all()),
        scale_fall=float(np.log2(scale[known].max() / scale[known][-1])) if known.any() else 0.0,
        last_scale=float(scale[known][-1]) if known.any() else float("nan"),
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
