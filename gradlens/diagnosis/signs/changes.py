"""Signs of sudden changes of level or noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.curves import neighbour_noise, rolling_level, thinned
from gradlens.diagnosis.features.events import CONVERGED
from gradlens.diagnosis.features.progress import MAX_ROWS, RANDOM_REBOUND
from gradlens.diagnosis.signs.base import Ramp, has_batch_noise, part, rows_are_steps, share, sign, times

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


def _near_jump(measured: Measured, row: int) -> bool:
    near = max(len(measured) // 50, 5)
    return any(-near <= row - at <= near for at, _ in measured.schedule.jumps)


@sign("the loss level rises suddenly, by {deviations} deviations of its noise or more")
def sudden_step(
    measured: Measured,
    *,
    errors: Ramp = Ramp(5.7, 8.6),
    deviations: Ramp = Ramp(1.3, 2.3),
    within_few_rows: Ramp = share(0.35, 0.8),
    size: Ramp = Ramp(0.01, 0.03),
) -> float:
    """The medians on both sides differ by {errors} standard errors, by {deviations} deviations and by {size} in ln loss.

    Of the change, {within_few_rows} are made within a few rows.
    """
    step = measured.loss_step
    return (
        errors(step.errors)
        * deviations(step.deviations)
        * within_few_rows(step.sharpness)
        * size(step.size)
        * step_matters(measured)
    )


@part("a sudden rise of a loss that has come down far is a good part of its descent")
def step_matters(measured: Measured, *, rise: Ramp = share(0.003, 0.02), converged: float = CONVERGED) -> float:
    """A loss below {converged} of its start must rise by {rise} of its descent; above that any rise counts."""
    p, row = measured.progress, measured.loss_step.row
    if p is None or not measured.loss.logarithmic or not p.start > 0:
        return 1.0
    side = max(len(measured) // 40, 8)
    before, after = measured.signals.loss[max(row - side, 0) : row], measured.signals.loss[row : row + side]
    if not np.isfinite(before).any() or not np.isfinite(after).any() or np.nanmedian(before) >= converged * p.start:
        return 1.0
    return rise(float(np.nanmedian(after) - np.nanmedian(before)) / max(p.start - p.best, 1e-300))


@sign("the loss level rises suddenly and stays up, with no change in the rate")
def lasting_step(measured: Measured, *, left: Ramp = Ramp(0.6, 1.5)) -> float:
    """One to four windows later the loss is still {left} deviations higher."""
    step = measured.loss_step
    if _near_jump(measured, step.row):
        return 0.0
    return sudden_step(measured) * left(max(step.lasting, 0.0) * step.deviations)


@sign("loss and norm levels fall suddenly together, with no fall in the rate")
def sudden_drop(
    measured: Measured,
    *,
    errors: Ramp = Ramp(5.7, 8.6),
    deviations: Ramp = Ramp(1.3, 2.3),
    within_few_rows: Ramp = share(0.35, 0.8),
    lasting: Ramp = share(0.3, 0.7),
    norm_errors: Ramp = Ramp(5.0, 9.0),
    rows: Ramp = Ramp(60.0, 120.0),
) -> float:
    """The loss falls by {errors} standard errors and {deviations} deviations, the norm by {norm_errors} standard errors.

    Of the fall of the loss, {within_few_rows} are made within a few rows and {lasting} last: the data became easier. Judged
    from {rows} rows on, since in fewer any descent looks as sudden, as does a phase of fast learning where a row stands for
    many steps. Without batch noise a fall has no deviations to be measured in.
    """
    loss, norm = measured.loss_drop, measured.norm_step_down
    if (
        not loss.errors
        or abs(loss.row - norm.row) > max(len(measured) // 50, 5)
        or measured.schedule.falls_near(loss.row)
        or has_batch_noise(measured) < 0.5
    ):
        return 0.0
    return (
        rows(float(len(measured)))
        * errors(loss.errors)
        * deviations(loss.deviations)
        * within_few_rows(loss.sharpness)
        * lasting(loss.lasting)
        * norm_errors(norm.errors)
        * rows_are_steps(measured)
    )


@sign("a sudden rise of the loss begins with a shock far larger than the rise that remains")
def step_after_shock(measured: Measured, *, stays: Ramp = share(0.05, 0.015)) -> float:
    """What stays is {stays} of the height of the first rows, at most a twentieth of the run, after which the loss falls back.

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
    return sudden_step(measured) * stays((float(np.nanmedian(after)) - level) / (top - level))


@sign("the run was calm before a sudden rise of the loss")
def calm_before_step(measured: Measured, *, climbed: Ramp = share(0.1, 0.35), cost: float = 0.7) -> float:
    """A level right before the rise that lies {climbed} of the descent above its lowest takes up to {cost} of the grade.

    The lowest until then; noise is allowed for.
    """
    p, step = measured.progress, measured.loss_step
    known = measured.signals.loss[: step.row]
    known = thinned(known[np.isfinite(known)], MAX_ROWS)
    width = max(len(known) // 40, 5) | 1
    if p is None or len(known) < 2 * width:
        return 0.0
    level = rolling_level(known, width)
    noise = neighbour_noise(known[-8 * width :])
    above = float(level[-width // 2] - level[width // 2 :].min()) - RANDOM_REBOUND * 1.2533 * noise / np.sqrt(width)
    return sudden_step(measured) * (1.0 - cost * climbed(above / max(p.start - p.best, 1e-300)))


@sign("the norm level changes suddenly while the loss level hardly does")
def norm_step_alone(
    measured: Measured,
    *,
    errors: Ramp = Ramp(4.5, 8.0),
    size: Ramp = Ramp(0.3, 0.6, "ln"),
    not_beyond: Ramp = times(12.0, 8.0),
    within_few_rows: Ramp = share(0.25, 0.7),
    abruptness: Ramp = share(0.25, 0.45),
    not_before: Ramp = share(0.08, 0.20),
    loss_still: Ramp = Ramp(2.0, 1.0),
) -> float:
    """The norm changes by a factor of {size} and {errors} standard errors, the loss by less than {loss_still} deviations.

    Of the change, {within_few_rows} are made within a few rows and {abruptness} within a fifth of the window, after the first
    {not_before} of the rows. Not where the norm changes more than {not_beyond} times: a batch of an eighth or of eight times
    the size changes norms by a factor of three, one of 64 times by eight.
    """
    up, down = measured.norm_step_up, measured.norm_step_down
    step = up if up.errors >= down.errors else down
    strength = errors(step.errors) * size(abs(step.size)) * within_few_rows(step.sharpness)
    strength *= not_beyond(abs(step.size)) * not_before(step.row / len(measured))
    strength *= abruptness(step.abruptness)
    if _near_jump(measured, step.row) or step.lasting < 0.5 or has_batch_noise(measured) < 0.5:
        return 0.0
    loss = measured.loss.value
    width = int(np.clip(len(measured) // 40, 8, 30))
    sides = loss[max(step.row - width, 0) : step.row], loss[step.row : step.row + width]
    if min(np.isfinite(side).sum() for side in sides) < 5:
        return 0.0
    change = abs(float(np.nanmedian(sides[1]) - np.nanmedian(sides[0])))
    spread = float(np.nanmax(measured.loss.spread[max(step.row - width, 0) : step.row + width]))
    return strength * loss_still(change / max(spread, 1e-12))


@sign("the noise of loss and norm changes from one row to the next")
def noise_changes(
    measured: Measured,
    *,
    score: Ramp = Ramp(5.0, 7.5),
    agreement: Ramp = Ramp(0.8, 1.6),
    against: Ramp = Ramp(0.5, 0.1),
    loss_to_norm: Ramp = Ramp(2.4, 1.9),
    not_before: Ramp = share(0.08, 0.20),
    abruptness: Ramp = share(0.35, 0.5),
    loss_level: Ramp = Ramp(3.5, 1.5),
) -> float:
    """Level and spread of the norm and spread of the loss change together, with a joint score of {score}.

    All of them go with one over the root of the batch size. So their logarithms must change by {agreement} in sum (the spread
    of the norm counting half), none may go the other way by {against}, the spread of the loss may change by no more than
    {loss_to_norm} times as much as the norm, and the level of the loss by no more than {loss_level} deviations. They change
    at one row: {abruptness} of the change of the norm are made within a fifth of the window, and not in the first
    {not_before} of the rows, where the end of the start-up is such a change by itself.
    """
    found = measured.noise_break
    if found is None or _near_jump(measured, found.row) or has_batch_noise(measured) < 0.5:
        return 0.0
    # A smaller batch raises all three, a larger one lowers them: what goes the other way speaks against both.
    way = 1.0 if found.norm_size + found.loss_spread > 0 else -1.0
    return (
        score(found.score)
        * agreement(way * (found.loss_spread + found.norm_size + 0.5 * found.norm_spread))
        * against(max(-way * found.norm_size, -way * found.loss_spread, 0.0))
        * loss_to_norm(abs(found.loss_spread) / max(abs(found.norm_size), 1e-12))
        * not_before(found.row / len(measured))
        * abruptness(found.abruptness)
        * loss_level(abs(found.loss_deviations))
    )
