"""Which attempts are trainings from scratch, and not the same training resumed.

A resume goes back to a checkpoint, which lies behind the first step, and carries weights on: the loss stands about where it
stood. A new start counts from the beginning, and its loss stands where the first rows of the start before stood. Two logs
look alike by their steps alone, and the loss decides: a resume that lost its count, and a second start. Of variants tried one
after the other (a tournament), each goes over the very steps of the one before: a resume seldom dies twice at the same step.

Only the weights tell for certain; the limits are our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gradlens.signals.attempts import Restart

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows at either end of an attempt whose median stands for its level.
LEVEL = 3
#: Typical changes between neighbours by which a loss must have moved for its level to tell a resume from a new start.
MOVED = 3.0
#: Rows from which two attempts over the same steps are variants.
MIN_VARIANT = 5


def fresh_starts(
    step: NDArray[np.int64], value: NDArray[np.float64] | None, restarts: Sequence[Restart]
) -> tuple[bool, ...]:
    """Of each restart, whether a training from scratch (or a variant of the one before) begins there.

    Parameters
    ----------
    step
        int64[n], in the order written.
    value
        float64[n], the loss (or norm) at these steps, NaN and infinities left aside; None where there is none, and then
        the steps decide.
    restarts
        The attempts of `gradlens.signals.attempts.order_of`, in the order written.
    """
    if not restarts:
        return ()
    rises = np.diff(step)
    rises = rises[rises > 0]
    interval = float(np.median(rises)) if len(rises) else 1.0
    bounds = [0, *(restart.index for restart in restarts), len(step)]
    spans = [(int(step[begin]), int(step[end - 1])) for begin, end in pairwise(bounds)]
    fresh: list[bool] = []
    scratch, varies = 0, False  # where the current start begins, and whether it is a variant
    for place, restart in enumerate(restarts, 1):
        begin, end = bounds[place], bounds[place + 1]
        opens = int(step[scratch]) <= 2 * interval and restart.step < int(step[scratch]) + interval
        long = min(np.diff(bounds)[place - 1 : place + 1]) >= MIN_VARIANT
        varies = bool(long) and _is_variant(spans, place, interval, of_variant=varies)
        is_fresh = varies or (opens and not _carries_on(value, scratch, begin, end))
        fresh.append(is_fresh)
        scratch = begin if is_fresh else scratch
    return tuple(fresh)


def _is_variant(spans: Sequence[tuple[int, int]], place: int, interval: float, *, of_variant: bool) -> bool:
    """Whether an attempt is one of several over the very same steps.

    It goes over the steps of the one before; or it ends where that one ended, and the next goes over its own steps; or it
    takes the last of such variants (`of_variant`) further.
    """
    (began, ended), (begins, ends) = spans[place - 1], spans[place]
    same_begin, same_end = abs(began - begins) < interval, abs(ended - ends) < interval
    following = spans[place + 1] if place + 1 < len(spans) else None
    repeated = following is not None and all(
        abs(own - next_) < interval for own, next_ in zip(spans[place], following, strict=True)
    )
    return (same_end and (same_begin or repeated)) or (of_variant and same_begin and ends > ended)


def _carries_on(value: NDArray[np.float64] | None, scratch: int, begin: int, end: int) -> bool:
    """Whether the first rows after `begin` stand nearer to the last rows before it than to the first rows of that start.

    So must the very first one: a start that learns fast is within few rows where a slow one ended.
    """
    if value is None:
        return False
    before, now = (part[np.isfinite(part)] for part in (value[scratch:begin], value[begin:end]))
    if min(len(before), len(now)) < 2 * LEVEL:
        return False
    first, last, opening = (float(np.median(part)) for part in (before[:LEVEL], before[-LEVEL:], now[:LEVEL]))
    noise = float(np.median(np.abs(np.diff(before))))
    near = abs(opening - last) < abs(opening - first) and abs(now[0] - last) < abs(now[0] - before[0])
    return bool(abs(first - last) > MOVED * noise and near)
