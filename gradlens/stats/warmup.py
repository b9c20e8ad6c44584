"""Where the warm-up of a run ends, and the phases of its schedule.

From the **learning rate** column the warm-up is the initial rise: it ends at the first step that reaches 99 % of the
highest rate of the first cycle. Without the column it is read from the **norms**: the start-up transient is over when
the rolling level of ln(norm) first comes within the band that it keeps in the following stretch. Both ends are capped:
a warm-up is at most 10 % of the run where it is read from the norms (the Google tuning playbook's bound), and at most
half of it where the rate says so.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gradlens.frozen import frozen
from gradlens.stats.robust import MAX_USABLE, as_series, rolling_median, safe_log

if TYPE_CHECKING:
    from numpy.typing import NDArray

PEAK_SHARE = 0.99
MAX_SHARE_FROM_NORMS = 0.10
MAX_SHARE_FROM_RATE = 0.50
RESTART_JUMP = 1.5


@frozen(eq=False)
class WarmupEnd:
    """Where the warm-up ends.

    Attributes
    ----------
    index : int
        Position of the first step after the warm-up; 0 if there is none.
    how : str
        ``learning_rate``, ``norms`` or ``none``.
    reason : str
        One sentence on why there.
    """

    index: int
    how: str
    reason: str


@frozen(eq=False)
class Phase:
    """One stretch of the schedule.

    Attributes
    ----------
    name : str
        ``warmup``, ``stable`` (rate constant), ``decay`` (rate falling), ``rise`` (rate rising later) or ``main`` (no
        rate known).
    first, last : int
        Positions of the first and last step, both included.
    """

    name: str
    first: int
    last: int


def find_warmup_end(lr: NDArray[np.float64] | None, norm: NDArray[np.float64] | None) -> WarmupEnd:
    """Return where the warm-up ends, from the learning rate if it is known, otherwise from the norms.

    Parameters
    ----------
    lr, norm : float64[n] or None
        Learning rate and gradient norm, one value per step; NaN allowed.

    Returns
    -------
    WarmupEnd
        ``index`` is 0 for a run of fewer than 30 steps without a rate, a rate that starts at its peak, or norms without a transient.
    """
    if lr is not None:
        found = _from_rate(as_series(lr))
        if found is not None:
            return found
    if norm is not None:
        return _from_norms(as_series(norm))
    return WarmupEnd(index=0, how="none", reason="neither learning rate nor norms to tell from")


def _from_rate(lr: NDArray[np.float64]) -> WarmupEnd | None:
    """Return the end of the initial rise of the rate, None where the column cannot tell."""
    finite = np.flatnonzero((lr >= 0.0) & (lr < MAX_USABLE))
    if finite.size < 2:
        return None
    rate = lr[finite]
    # The first cycle ends where the rate jumps back up after a fall; a later, higher cycle must not hide the first
    # peak.
    rising = rate[1:] > RESTART_JUMP * rate[:-1]
    fallen = rate[:-1] < 0.5 * np.maximum.accumulate(rate)[:-1]
    restarts = np.flatnonzero(rising & fallen)
    cycle = rate[: int(restarts[0]) + 1] if restarts.size else rate
    peak = float(cycle.max())
    if not peak > 0.0:
        return None
    if cycle[0] >= PEAK_SHARE * peak:
        return WarmupEnd(index=0, how="learning_rate", reason="the learning rate starts at its peak")
    at = int(finite[np.argmax(cycle >= PEAK_SHARE * peak)])
    limit = int(MAX_SHARE_FROM_RATE * lr.size)
    if at > limit:
        return WarmupEnd(
            index=limit,
            how="learning_rate",
            reason="the learning rate rises for more than half of the run; the first half counts",
        )
    return WarmupEnd(
        index=at, how="learning_rate", reason=f"the learning rate reaches {PEAK_SHARE:.0%} of its first peak"
    )


def _from_norms(norm: NDArray[np.float64]) -> WarmupEnd:
    """Return where the start-up transient of the norms is over."""
    limit = int(MAX_SHARE_FROM_NORMS * norm.size)
    log_norm = safe_log(norm[: 4 * limit])
    smooth = rolling_median(log_norm, max(5, limit // 10) | 1, centred=True)
    settled = smooth[limit : 3 * limit]
    settled = settled[np.isfinite(settled)]
    if settled.size < 5:
        return WarmupEnd(index=0, how="norms", reason="too few norms to tell a transient")
    low, high = np.quantile(settled, [0.02, 0.98])
    slack = 0.25 * max(float(high - low), 0.05)
    inside = (smooth[:limit] >= low - slack) & (smooth[:limit] <= high + slack)
    if inside[0]:
        return WarmupEnd(index=0, how="norms", reason="the first norms are already at the level that follows")
    at = int(np.argmax(inside)) if inside.any() else limit
    return WarmupEnd(index=at, how="norms", reason="the norms reach the level that they then keep")


def find_phases(lr: NDArray[np.float64] | None, n: int, warmup_end: int = 0) -> tuple[Phase, ...]:
    """Cut a run into the phases of its learning-rate schedule.

    Parameters
    ----------
    lr : float64[n] or None
        Learning rate; NaN is carried forward.
    n : int
        Steps of the run.
    warmup_end : int
        First position after the warm-up, see `find_warmup_end`.

    Returns
    -------
    tuple of Phase
        In order, covering every step. Phases shorter than 1 % of the run (at least 5 steps) join their neighbour.
    """
    if n == 0:
        return ()
    warmup_end = min(max(warmup_end, 0), n)
    phases = [Phase(name="warmup", first=0, last=warmup_end - 1)] if warmup_end else []
    if warmup_end == n:
        return tuple(phases)
    rate = None if lr is None else _carry_forward(as_series(lr))
    if rate is None or rate.size != n:
        return (*phases, Phase(name="main", first=warmup_end, last=n - 1))
    shortest = max(5, n // 100)
    with np.errstate(over="ignore"):
        slope = np.diff(rate[warmup_end:], append=rate[-1])
    # Slopes that small are the rounding of a float32 rate.
    flat = np.abs(slope) <= 1e-9 * np.abs(rate[warmup_end:])
    direction = np.sign(np.where(flat, 0.0, slope)).astype(np.int64)
    direction = _steps_as_decay(direction, shortest)
    edges = [0, *(np.flatnonzero(np.diff(direction)) + 1).tolist(), direction.size]
    names = {0: "stable", -1: "decay", 1: "rise"}
    for begin, end in pairwise(edges):
        name = names[int(direction[begin])]
        previous = phases[-1] if phases and phases[-1].name != "warmup" else None
        if previous is not None and begin < shortest <= end - begin:
            # What is left of the rise after 99 % of the peak belongs to what follows.
            phases[-1] = Phase(name=name, first=previous.first, last=warmup_end + end - 1)
        elif previous is not None and (end - begin < shortest or previous.name == name):
            phases[-1] = Phase(name=previous.name, first=previous.first, last=warmup_end + end - 1)
        else:
            phases.append(Phase(name=name, first=warmup_end + begin, last=warmup_end + end - 1))
    return tuple(phases)


def _steps_as_decay(direction: NDArray[np.int64], shortest: int) -> NDArray[np.int64]:
    """Fill short flat stretches between two falls or two rises, as rounded or per-epoch schedules have them."""
    moving = np.flatnonzero(direction)
    if moving.size < 2:
        return direction
    filled = direction.copy()
    gap = np.diff(moving)
    # The same holds for what is left before the first move and after the last.
    if moving[0] < shortest:
        filled[: moving[0]] = direction[moving[0]]
    if direction.size - 1 - moving[-1] <= shortest:
        filled[moving[-1] :] = direction[moving[-1]]
    for at in np.flatnonzero((gap > 1) & (gap <= shortest)).tolist():
        if direction[moving[at]] == direction[moving[at + 1]]:
            filled[moving[at] : moving[at + 1]] = direction[moving[at]]
    return filled


def _carry_forward(value: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Replace NaN by the value before it; None where nothing is finite."""
    finite = np.isfinite(value)
    if not finite.any():
        return None
    source = np.maximum.accumulate(np.where(finite, np.arange(value.size), -1))
    source[source < 0] = int(np.argmax(finite))
    return value[source]
