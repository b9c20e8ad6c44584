"""Signs of sudden changes of level or noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.curves import neighbour_noise, rolling_level, thinned
from gradlens.diagnosis.features.events import CONVERGED
from gradlens.diagnosis.features.progress import MAX_ROWS, RANDOM_REBOUND
from gradlens.diagnosis.signs.base import ramp, rows_are_steps, sign

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


def _near_jump(measured: Measured, row: int) -> bool:
    near = max(len(measured) // 50, 5)
    return any(-near <= row - at <= near for at, _ in measured.schedule.jumps)


@sign("the loss level rises suddenly")
def sudden_step(measured: Measured) -> float:
    """5.7 to 8.6 standard errors and 1.3 to 2.3 deviations between the medians on both sides, within a few rows.

    A loss that has come down to a tenth of its start must also rise by .3 to 2 % of its descent: see `is_material`.
    """
    step = measured.loss_step
    return (
        ramp(step.errors, 5.7, 8.6) * ramp(step.deviations, 1.3, 2.3) * ramp(step.sharpness, 0.35, 0.8)
        * ramp(step.size, 0.01, 0.03) * _step_matters(measured)
    )  # fmt: skip


def _step_matters(measured: Measured) -> float:
    p, row = measured.progress, measured.loss_step.row
    if p is None or not measured.loss.logarithmic or not p.start > 0:
        return 1.0
    side = max(len(measured) // 40, 8)
    before, after = measured.signals.loss[max(row - side, 0) : row], measured.signals.loss[row : row + side]
    if not np.isfinite(before).any() or not np.isfinite(after).any() or np.nanmedian(before) >= CONVERGED * p.start:
        return 1.0
    rise = float(np.nanmedian(after) - np.nanmedian(before)) / max(p.start - p.best, 1e-300)
    return ramp(rise, 0.003, 0.02)


@sign("the loss level rises suddenly and stays up, with no change of the rate")
def lasting_step(measured: Measured) -> float:
    """A sudden step of which a good part is left one to four windows later."""
    step = measured.loss_step
    if _near_jump(measured, step.row):
        return 0.0
    left = max(step.lasting, 0.0) * step.deviations
    return sudden_step(measured) * ramp(left, 0.6, 1.5)


@sign("loss and norm levels fall suddenly together, with no fall of the rate")
def sudden_drop(measured: Measured) -> float:
    """Both within a few rows, both lasting: the data became easier.

    Where a row stands for ten steps or more, a phase of fast learning looks as sudden: then this says nothing.
    """
    loss, norm = measured.loss_drop, measured.norm_step_down
    if (
        not loss.errors
        or abs(loss.row - norm.row) > max(len(measured) // 50, 5)
        or measured.schedule.falls_near(loss.row)
    ):
        return 0.0
    return (
        ramp(loss.errors, 5.7, 8.6) * ramp(loss.deviations, 1.3, 2.3) * ramp(loss.sharpness, 0.35, 0.8)
        * ramp(loss.lasting, 0.3, 0.7) * ramp(norm.errors, 5.0, 9.0) * rows_are_steps(measured)
    )  # fmt: skip


@sign("the sudden rise begins with a shock far above what stays of it")
def step_after_shock(measured: Measured) -> float:
    """What stays is 5 to 1.5 % of the height of the first rows, at most a twentieth of the run, after which the loss falls back.

    Other data cost most when they are met, but what they cost then and a little later is of one size. A bad batch costs far
    more than the damage that its update leaves.
    """
    step = measured.loss_step
    loss = measured.signals.loss
    before = loss[max(step.row - 20, 0) : max(step.row - 2, 0)]
    first = loss[max(step.row - 2, 0) : step.row + max(len(measured) // 20, 8)]
    if not np.isfinite(before).any() or not np.isfinite(first).any():
        return 0.0
    level, top = float(np.nanmedian(before)), float(np.nanmax(first))
    if not level < top < np.inf:
        return 0.0
    high = np.flatnonzero(first > level + 0.5 * (top - level))
    after = loss[max(step.row - 2, 0) + int(high[-1]) + 2 :][:30]
    if high[-1] - high[0] + 1 > 2 * len(high) or np.isfinite(after).sum() < 5:
        return 0.0
    stays = (float(np.nanmedian(after)) - level) / (top - level)
    return sudden_step(measured) * ramp(stays, 0.05, 0.015)


@sign("the run was calm before the sudden rise")
def calm_before_step(measured: Measured) -> float:
    """The level right before the step lies within 10 to 35 % of the descent of the lowest level until then."""
    p, step = measured.progress, measured.loss_step
    known = measured.signals.loss[: step.row]
    known = thinned(known[np.isfinite(known)], MAX_ROWS)
    width = max(len(known) // 40, 5) | 1
    if p is None or len(known) < 2 * width:
        return 0.0
    level = rolling_level(known, width)
    noise = neighbour_noise(known[-8 * width :])
    climbed = float(level[-width // 2] - level[width // 2 :].min()) - RANDOM_REBOUND * 1.2533 * noise / np.sqrt(width)
    return sudden_step(measured) * (1.0 - 0.7 * ramp(climbed / max(p.start - p.best, 1e-300), 0.1, 0.35))


def _norm_break(measured: Measured) -> tuple[float, float]:
    """Strength of the sudden change of the norm level, and how still the loss level is there."""
    up, down = measured.norm_step_up, measured.norm_step_down
    step = up if up.errors >= down.errors else down
    strength = ramp(step.errors, 4.5, 8.0) * ramp(abs(step.size), 0.3, 0.6) * ramp(step.sharpness, 0.25, 0.7)
    # The eighth part or eight times the batch changes norms by a factor of three; 64 times by eight.
    strength *= ramp(abs(step.size), np.log(12.0), np.log(8.0)) * ramp(step.row / len(measured), 0.08, 0.20)
    strength *= ramp(step.abruptness, 0.25, 0.45)
    if _near_jump(measured, step.row) or step.lasting < 0.5:
        return 0.0, 0.0
    loss = measured.loss.value
    width = int(np.clip(len(measured) // 40, 8, 30))
    sides = loss[max(step.row - width, 0) : step.row], loss[step.row : step.row + width]
    if min(np.isfinite(side).sum() for side in sides) < 5:
        return 0.0, 0.0
    change = abs(float(np.nanmedian(sides[1]) - np.nanmedian(sides[0])))
    spread = float(np.nanmax(measured.loss.spread[max(step.row - width, 0) : step.row + width]))
    return strength, ramp(change / max(spread, 1e-12), 2.0, 1.0)


@sign("the norm level changes suddenly while the loss level hardly does")
def norm_step_alone(measured: Measured) -> float:
    """A step of the norm by a third or more, and less than one deviation of the loss."""
    strength, still = _norm_break(measured)
    return strength * still


@sign("the noise of loss and norm changes at one row")
def noise_changes(measured: Measured) -> float:
    """Level and spread of the norm and spread of the loss, all three together.

    All of them go with one over the root of the batch size, so that the spread of the loss must not change by twice as much
    as the norm; at one row, so that a third to half of the change of the norm is made within a fifth of the window; and not
    in the first 8 to 20 % of the rows, where the end of the start-up is such a change by itself.
    """
    found = measured.noise_break
    if found is None or _near_jump(measured, found.row):
        return 0.0
    # A smaller batch raises all three, a larger one lowers them: what goes the other way speaks against both.
    way = 1.0 if found.norm_size + found.loss_spread > 0 else -1.0
    agreement = way * (found.loss_spread + found.norm_size + 0.5 * found.norm_spread)
    against = max(-way * found.norm_size, -way * found.loss_spread, 0.0)
    return (
        ramp(found.score, 5.0, 7.5)
        * ramp(agreement, 0.8, 1.6)
        * ramp(against, 0.5, 0.1)
        * ramp(abs(found.loss_spread) / max(abs(found.norm_size), 1e-12), 2.4, 1.9)
        * ramp(found.row / len(measured), 0.08, 0.20)
        * ramp(found.abruptness, 0.35, 0.5)
        * ramp(abs(found.loss_deviations), 3.5, 1.5)
    )
