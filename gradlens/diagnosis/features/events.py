"""Single rows and short stretches in which loss and norm stand out together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.curves import Curve, rolling_level, smoothed
from gradlens.frozen import frozen
from gradlens.stats.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Local deviations above the centred median by which a row must stand out: the loss, and the norm in the same row.
LOSS_Z, NORM_Z = 5.0, 3.0
#: Rows that may lie between two parts of one event, rows before and after it that its level is taken from.
GAP, SIDE = 5, 20
MAX_EVENTS = 500
#: Share of its start at which a loss is nearly zero, and share of the descent by which an event must rise from there.
CONVERGED, MIN_RISE = 0.1, 0.12
PLAIN_WINDOW = 101


@frozen(eq=False)
class Event:
    """One event.

    Attributes
    ----------
    first, last
        Rows.
    strength
        How many times the limits are passed: the smaller of loss z / 5 and norm z / 3, at the strongest row.
    height
        Rise of the loss at the strongest row above the level before, in local deviations.
    norm_ratio
        Norm over the local level.
    recovery
        Rows after the event until the loss is back within two deviations for two of three rows.
    damage
        Median excess of the loss over the level before, in local deviations, in the 30 rows after the first two.
    swell, swell_at
        The highest median of five losses in the 100 rows after the event above the level before, in local deviations, and
        how many rows after the event its middle lies.
    ramp
        Rise of the loss in the four rows before the event, in local deviations.
    """

    first: int
    last: int
    strength: float
    height: float
    norm_ratio: float
    recovery: int
    damage: float
    swell: float
    swell_at: int
    ramp: float

    @property
    def rows(self) -> int:
        """Length."""
        return self.last - self.first + 1

    @property
    def isolated(self) -> bool:
        """At most two rows, and the loss is back at once."""
        return self.rows <= 2 and self.recovery <= 2


def joint_strength(loss: Curve, norm: Curve, plain: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n]: how strongly loss and norm stand out in the same row, in units of the limits; 0 where unknown.

    A positive loss that stands out by 1.6 times its limit asks for .6 of the limit of the norm: some losses saturate, some batches
    are small, and the norm then says little.

    Judged on the log scale, where heavy tails are tame. Rows that stand out enormously on the linear scale too gain up to a
    half: a loss whose logarithm is skewed low hides its spikes otherwise. `plain` is their `linear_strength`.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        zl = (loss.value - loss.level) / np.maximum(loss.upper, 0.5 * loss.spread)
        zg = (norm.value - norm.level) / np.maximum(norm.upper, 0.5 * norm.spread)
        strength = np.maximum(
            np.minimum(zl / LOSS_Z, zg / NORM_Z), np.minimum(zl / (1.6 * LOSS_Z), zg / (0.6 * NORM_Z))
        )
        gain = 1.0 + 0.5 * np.clip(np.log(np.maximum(plain, 1.0) / 3.0) / np.log(10.0), 0.0, 1.0)
        strength = strength * gain
    return np.where(np.isfinite(strength), np.maximum(strength, 0.0), 0.0)


def linear_strength(loss: NDArray[np.float64], norm: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n]: joint strength by linear differences and median absolute deviations; 0 where unknown."""
    both = []
    for raw, limit in ((loss, LOSS_Z), (norm, NORM_Z)):
        usable = np.where(np.isfinite(raw), raw, np.nan)
        residual = usable - rolling_level(usable, PLAIN_WINDOW)
        spread = MAD_TO_SIGMA * rolling_level(np.abs(residual), PLAIN_WINDOW)
        floor = 0.25 * float(np.nanmedian(spread)) if np.isfinite(spread).any() else 1.0
        both.append(residual / np.maximum(spread, max(floor, 1e-300)) / limit)
    strength = np.minimum(*both)
    return np.clip(np.where(np.isfinite(strength), strength, 0.0), 0.0, 1e12)


def is_material(loss: Curve, start: float, span: float) -> NDArray[np.bool_]:
    """bool[n]: whether what a row shows can matter, for a loss that began at `start` and fell by `span`.

    A loss that has come down to a tenth of its start fluctuates on the log scale while it is practically zero. There an
    event must rise by 12 % of the whole descent: a batch that is wrong costs about as much as at the start, when nothing
    was learned (in 433 labelled bad batches at least 13 %, nearly always more than 25 %).
    """
    if not loss.logarithmic or not start > 0:
        return np.ones(len(loss.raw), dtype=bool)
    with np.errstate(invalid="ignore", over="ignore"):
        return (np.exp(loss.level) >= CONVERGED * start) | (loss.excess >= MIN_RISE * span)


def find_events(loss: Curve, norm: Curve, strength: NDArray[np.float64], skip: int) -> tuple[Event, ...]:
    """The joint events after the first `skip` rows, the strongest `MAX_EVENTS` of them in order."""
    hits = np.flatnonzero(strength >= 1.0)
    hits = hits[hits >= skip]
    if len(hits) == 0:
        return ()
    breaks = np.flatnonzero(np.diff(hits) > GAP)
    firsts, lasts = hits[np.r_[0, breaks + 1]], hits[np.r_[breaks, len(hits) - 1]]
    if len(firsts) > MAX_EVENTS:
        peak = np.maximum.reduceat(strength, np.c_[firsts, np.minimum(lasts + 1, len(strength) - 1)].ravel())[::2]
        keep = np.sort(np.argsort(-peak)[:MAX_EVENTS])
        firsts, lasts = firsts[keep], lasts[keep]
    return tuple(_event(loss, norm, strength, int(a), int(b)) for a, b in zip(firsts, lasts, strict=True))


def find_bursts(loss: Curve, norm: Curve, counts: NDArray[np.bool_], skip: int, most: int) -> tuple[Event, ...]:
    """Stretches of three to `most` rows in which loss and norm stand out together and which begin and end within a row or two.

    Medians of five rows have about half the noise of a row, so that a stretch stands out where no row of it does. Edges: the
    medians of three rows on both sides of the first and of the last row differ by three fifths of the height or more, which
    a hump of an unstable run does not do.
    """
    window = int(np.clip(3 * len(loss.value) // 20, 31, 301)) | 1
    smooth = smoothed(loss, 5, window), smoothed(norm, 5, window)
    strength = np.where(counts, joint_strength(*smooth, np.zeros(len(loss.value))), 0.0)
    found = find_events(*smooth, strength, skip)
    return tuple(e for e in found if 3 <= e.rows <= most and _has_edges(loss.value, e.first, e.last))


def _has_edges(value: NDArray[np.float64], first: int, last: int) -> bool:
    before, after = value[max(first - 12, 0) : max(first - 2, 0)], value[last + 3 : last + 13]
    inside = value[first : last + 1]
    if min(np.isfinite(part).sum() for part in (before, after, inside)) < 3:
        return False
    height = float(np.nanmedian(inside) - np.nanmedian(before))
    up = max(_difference(value, row) for row in range(first - 2, first + 4))
    down = max(-_difference(value, row) for row in range(last - 2, last + 5))
    return height > 0 and min(up, down) >= 0.6 * height


def _difference(value: NDArray[np.float64], row: int) -> float:
    before, after = value[max(row - 3, 0) : max(row, 0)], value[max(row, 0) : row + 3]
    if not np.isfinite(before).any() or not np.isfinite(after).any():
        return float("-inf")
    return float(np.nanmedian(after) - np.nanmedian(before))


def _event(loss: Curve, norm: Curve, strength: NDArray[np.float64], first: int, last: int) -> Event:
    before = loss.value[max(first - SIDE, 0) : first]
    before = before[np.isfinite(before)]
    level = float(np.median(before)) if len(before) else float(loss.level[first])
    deviation = float(max(loss.upper[first], loss.spread[first]))
    after = loss.value[last + 1 : last + 1 + 200]
    top = first + int(np.argmax(strength[first : last + 1]))
    later = after[2:32][np.isfinite(after[2:32])]
    ramp = loss.value[max(first - 4, 0) : first]
    ramp = ramp[np.isfinite(ramp)]
    swell, swell_at = _swell(after[:100])
    return Event(
        first=first,
        last=last,
        strength=float(strength[top]),
        height=float(loss.value[top] - level) / deviation,
        norm_ratio=float(np.exp(min(norm.value[top] - norm.level[top], 700.0))),
        recovery=_recovery(after, level + 2.0 * deviation),
        damage=(float(np.median(later)) - level) / deviation if len(later) else 0.0,
        swell=(swell - level) / deviation,
        swell_at=swell_at,
        ramp=(float(np.median(ramp)) - level) / deviation if len(ramp) else 0.0,
    )


def _swell(after: NDArray[np.float64]) -> tuple[float, int]:
    """The highest median of five neighbouring losses, and the row of its middle, from 1."""
    if len(after) < 5:
        return float("nan"), 0
    table = np.lib.stride_tricks.sliding_window_view(after, 5)
    if not np.isfinite(table).any(axis=1).all():
        return float("nan"), 0
    middle = np.nanmedian(table, axis=1)
    at = int(np.argmax(middle))
    return float(middle[at]), at + 3


def _recovery(after: NDArray[np.float64], bound: float) -> int:
    back = (after < bound).astype(np.int64)
    if len(back) < 3:
        return 0 if len(back) == 0 or back[0] else len(back)
    settled = np.flatnonzero((back[:-2] + back[1:-1] + back[2:] >= 2) & (back[:-2] > 0))
    return int(settled[0]) if len(settled) else len(after)


def outlier_gap(strength: NDArray[np.float64]) -> float:
    """Ln of the widest gap between neighbours among the strongest rows (at most 4 % of them) above a strength of .8.

    Noise, heavy or not, thins out without a gap; batches that are different stand apart from the rest.
    """
    n = len(strength)
    top = np.sort(strength)[::-1][: max(int(0.04 * n), 3) + 1]
    if len(top) < 3 or top[0] < 1.0:
        return 0.0
    floor = np.maximum(top, 0.3)
    gaps = np.log(floor[:-1] / floor[1:])
    gaps[top[:-1] < 0.8] = 0.0
    return float(gaps.max())


def period_of(rows: NDArray[np.int64]) -> tuple[int, float] | None:
    """The period of events at these rows and the share of them on it; None with fewer than four or without one.

    The gaps of a periodic cause are multiples of one period; a share of 75 % within a row of a multiple counts, if that
    many would not do so by chance (a period of at least eight rows).
    """
    if len(rows) < 4:
        return None
    gaps = np.diff(rows)
    best: tuple[int, float] | None = None
    for period in np.unique(gaps[gaps >= 8]):
        away = np.abs(gaps - period * np.maximum(np.round(gaps / period), 1))
        share = float(np.mean(away <= 1))
        if share >= 0.75 and (best is None or share > best[1]):
            best = int(period), share
    return best
