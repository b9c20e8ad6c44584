"""What a logged norm is made of where only its values tell: a mean of all steps so far, or a loss scale still in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.stats.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows that a running mean must be followed for; share of what was averaged that must come out positive; its noise
#: from row to row, and how many
#: times that of the mean it is. Our own choice.
MIN_ROWS, MIN_POSITIVE, MIN_NOISE, MIN_TIMES = 100, 0.98, 0.02, 20.0
#: Rows that a moving average must be followed for; correlation of changes down to which they take no turns, and up to which they are no
#: smooth course; that of what was averaged, whose changes take turns; its noise from row to row; the smallest change that is no
#: rounding; and the shares that trainers use. Our own choice.
MIN_MOVING, WHITE, SMOOTH, TAKES_TURNS, MIN_OWN_NOISE, MIN_CHANGE = 200, 0.12, 0.8, -0.1, 0.04, 1e-6
SHARES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
#: Different values up to which norms may be rounded ones of a few powers of two, and their step over the smallest.
MAX_DIFFERENT, MAX_COARSE = 4, 0.2
#: Rows on either side of a level step, the range of steps that count as a factor of two, and the noise that lets one
#: be told.
SIDE, TWO, MAX_NOISE = 25, (1.75, 2.3), 0.6
#: Rows on either side of the very edge of such a step, and the share of the step that must be made there.
EDGE, SHARP = 8, 0.8
#: Steps of two that prove a loss scale, and with a halving at an infinite norm. Our own choice.
MIN_STEPS, MIN_STEPS_WITH_INFINITY = 4, 2
#: Stretches of infinite norms that prove it, how near to a halving they lie in powers of two, and the share of them that must. Our own
#: choice.
MIN_HALVINGS, NEAR, MIN_SHARE = 3, 0.6, 0.75
#: The least usual norm that carries a loss scale: that of a small gradient, of 0.01, times 2^12. Our own choice.
MIN_SCALED = 40.0


def is_running_mean(norm: NDArray[np.float64]) -> bool:
    """Whether float64[n] is the mean of all values so far.

    Then t·m_t - (t-1)·m_(t-1) gives back what was averaged: positive values that vary from row to row as norms do, while the
    mean itself hardly moves. The same difference of a norm with noise of its own is negative in half of the rows, and that of
    a level that fades smoothly does not vary. Fewer than 100 finite values tell nothing.
    """
    value = norm[np.isfinite(norm)]
    if len(value) < MIN_ROWS or not (value > 0).all():
        return False
    row = np.arange(1, len(value), dtype=np.float64)
    back = ((row + 1.0) * value[1:] - row * value[:-1])[len(value) // 12 :]
    if float(np.mean(back > 0)) < MIN_POSITIVE:
        return False
    noise = float(np.median(np.abs(np.diff(np.log(back[back > 0])))))
    own = float(np.median(np.abs(np.diff(np.log(value[len(value) // 12 :])))))
    return noise > MIN_NOISE and noise > MIN_TIMES * own


def steps_of_two(norm: NDArray[np.float64]) -> tuple[list[int], int]:
    """The rows at which the level of float64[n] changes twofold from one row to the next, and the number of halvings at an infinity.

    A loss scale doubles after a fixed number of clean steps and halves at each overflow, whose norm is infinite. Nothing is found where the
    noise of the norm is beyond 40 %.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log2(norm)
    known = np.flatnonzero(np.isfinite(size))
    value = size[known]
    if len(value) < 4 * SIDE:
        return [], 0
    noise = MAD_TO_SIGMA * float(np.median(np.abs(np.diff(value)))) / np.sqrt(2.0)
    if noise > MAX_NOISE:
        return [], 0
    table = np.median(np.lib.stride_tricks.sliding_window_view(value, SIDE), axis=1)
    rise = table[SIDE:] - table[:-SIDE]  # at row SIDE + i: what follows less what came before
    # Two medians differ by that much by chance.
    error = 1.2533 * noise * np.sqrt(2.0 / SIDE)
    low, high = np.log2(TWO[0]) - error, np.log2(TWO[1]) + error
    found: list[int] = []
    halvings = 0
    for at in np.flatnonzero((np.abs(rise) > low) & (np.abs(rise) < high)):
        near = np.abs(rise[max(at - SIDE // 2, 0) : at + SIDE // 2 + 1])
        if np.abs(rise[at]) < near.max() or (found and at + SIDE - found[-1] < 2 * SIDE):
            continue
        sign = np.sign(rise[at])
        places = range(max(int(at) + SIDE // 2, EDGE), min(int(at) + 3 * SIDE // 2, len(value) - EDGE))
        edges = [sign * float(np.median(value[r : r + EDGE]) - np.median(value[r - EDGE : r])) for r in places]
        if not edges or max(edges) < SHARP * low:
            continue
        row = places[int(np.argmax(edges))]
        before, after = value[max(row - 3 * SIDE, 0) : max(row - SIDE, 1)], value[row + SIDE : row + 3 * SIDE]
        if len(after) and sign * float(np.median(after) - np.median(before)) < SHARP * low:
            continue  # a spike that decays: the level did not stay
        found.append(row)
        around = norm[max(known[row] - SIDE // 2, 0) : known[row] + SIDE // 2]
        halvings += int(sign < 0 and bool(np.isinf(around).any()))
    return [int(known[row]) for row in found], halvings


def carries_scale(norm: NDArray[np.float64]) -> int:
    """The number of level steps of two by which a norm, float64[n], is suspected to carry a loss scale; 0 where it is not.

    Four steps of norms that are larger than gradients mostly are, or two with a halving at an infinite norm; or three stretches of
    infinite norms nearly all of which halve the level, as where a scale grows again after so few rows that no level is told.
    """
    rows, halvings = steps_of_two(norm)
    known = norm[np.isfinite(norm)]
    # Without an overflow beside them such steps may be chance, and norms of the size of gradients speak against a scale.
    large = bool(len(known)) and float(np.median(known)) >= MIN_SCALED
    if (halvings and len(rows) >= MIN_STEPS_WITH_INFINITY) or (large and len(rows) >= MIN_STEPS):
        return len(rows)
    return _halved_at_infinities(norm)


def _halved_at_infinities(norm: NDArray[np.float64]) -> int:
    """At how many stretches of infinite norms the level halves with each of them; 0 where that is not nearly all, or fewer than three.

    An overflow halves the loss scale, and with it norms that carry it; the level of norms that do not carry it goes on as it was.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log2(norm)
    bad = np.flatnonzero(~np.isfinite(norm))
    change: list[float] = []
    for rows in np.split(bad, np.flatnonzero(np.diff(bad) > 1) + 1) if len(bad) else ():
        before, after = size[max(rows[0] - EDGE, 0) : rows[0]], size[rows[-1] + 1 : rows[-1] + 1 + EDGE]
        before, after = before[np.isfinite(before)], after[np.isfinite(after)]
        if min(len(before), len(after)) >= EDGE // 2:
            change.append(float(np.median(after) - np.median(before)) / len(rows))
    if len(change) < MIN_HALVINGS:
        return 0
    away = np.abs(np.array(change) + 1.0)
    return (
        len(change)
        if float(np.mean(away < NEAR)) >= MIN_SHARE and abs(float(np.median(change)) + 1.0) < 0.5 * NEAR
        else 0
    )


def clipped_at_power_of_two(
    norm: NDArray[np.float64], thresholds: tuple[float, ...] = (1.0, 0.5, 2.0, 5.0, 10.0)
) -> tuple[float, list[int]] | None:
    """The threshold, and the powers, where nearly all norms equal a threshold over 2^8 to 2^24; None where they do not.

    What clipping leaves of gradients that still carry a loss scale of 2^k is C; unscaled afterwards, C / 2^k. At least 20 norms, nine
    tenths of them within .2 % of such a value, or, where few different values are rounded, near two such values.
    """
    value = norm[np.isfinite(norm) & (norm > 0)]
    if len(value) < 20:
        return None
    half = 0.5 * _decimal_step(value)
    for threshold in thresholds:
        whole = np.round(np.log2(threshold / value))
        allowed = (whole >= 8) & (whole <= 24)
        off = np.abs(value - threshold * 2.0**-whole)
        # One rounded value may be near a power of two by chance; two of them, one twice the other, are a scale that changed.
        for near, least in ((allowed & (off < 2e-3 * value), 1), (allowed & (off <= 1.01 * half), 2)):
            powers = sorted({int(k) for k in whole[near]})
            if float(np.mean(near)) >= 0.9 and len(powers) >= least:
                return threshold, powers
    return None


def _decimal_step(value: NDArray[np.float64]) -> float:
    """The place of the last decimal of values that take few different ones and are coarse, 0 where they are not.

    A step beyond a fifth of the smallest value leaves nothing to compare.
    """
    different = np.unique(value)
    if len(different) > MAX_DIFFERENT:
        return 0.0
    for places in range(1, 10):
        step = 10.0**-places
        if np.allclose(different / step, np.round(different / step), rtol=0.0, atol=1e-6):
            return step if step <= MAX_COARSE * float(different[0]) else 0.0
    return 0.0


def is_moving_average(norm: NDArray[np.float64]) -> bool:
    """Whether float64[n] is an exponential moving average, or a mean over a window that slides.

    The norm of a batch has noise of its own, so its changes take turns: their correlation from row to row is about -.5, or near 1 on a
    smooth course without noise. Those of m_t = a m_(t-1) + (1 - a) g_t, or of a sliding mean, do neither: near 0 at each distance
    where what is averaged is new in each row, and above it where neighbouring batches are alike. Then m_t - a m_(t-1) gives back
    positive values that vary from row to row as norms do. Fewer than 200 finite values tell nothing. Source: our own.
    """
    value = norm[np.isfinite(norm)][len(norm) // 8 :]
    if len(value) < MIN_MOVING or not (value > 0).all():
        return False
    # In both halves: norms that come down fast go on for a while, too.
    return all(map(_goes_on, np.array_split(np.diff(np.log(value)), 2))) and any(
        _gives_back(value, share) for share in SHARES
    )


def _goes_on(change: NDArray[np.float64]) -> bool:
    """Whether changes never take turns: neighbouring batches may be alike, which then shows in what is averaged for a few rows."""
    change = change - np.median(change)
    limit = 3.0 * MAD_TO_SIGMA * float(np.median(np.abs(change)))
    change = np.clip(change, -limit, limit)
    spread = float(np.mean(change**2))
    if not spread > 0 or limit < MIN_CHANGE:
        return False
    follows = [float(np.mean(change[k:] * change[:-k])) / spread for k in (1, 2, 3)]
    return min(follows) >= -max(WHITE, 3.0 / np.sqrt(len(change))) and follows[0] <= SMOOTH


def _gives_back(value: NDArray[np.float64], share: float) -> bool:
    """Whether taking `share` of the value before from each leaves what norms look like."""
    back = value[1:] - share * value[:-1]
    if float(np.mean(back > 0)) < MIN_POSITIVE:
        return False
    noise = np.diff(np.log(back[back > 0]))
    again = float(np.corrcoef(noise[1:], noise[:-1])[0, 1])
    return float(np.median(np.abs(noise))) > MIN_OWN_NOISE and again < TAKES_TURNS
