"""Signs in the first updates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.curves import neighbour_noise
from gradlens.diagnosis.features.norms import first_rows
from gradlens.diagnosis.features.progress import start_noise
from gradlens.diagnosis.signs.base import Ramp, falls_beyond_loss, part, share, sign, times
from gradlens.diagnosis.signs.course import (
    climbs_at_high_rate,
    early_descent_lost,
    gradients_grow,
    never_learned,
    start_is_seen,
    stays_raised,
)

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


@sign("the loss never came down, after a violent start")
def thrown_off(
    measured: Measured,
    *,
    above: Ramp = share(0.5, 2.0),
    blow: Ramp = times(2.2, 4.0),
    norm: Ramp = Ramp(1.9, 2.8, "ln"),
) -> float:
    """It overshot at once, lost what it had learned, rose above its start, or began with norms far above the later ones.

    It rose by {above} of its descent; the norms began {norm} times above where they settle, or were thrown to {blow} times the
    first one while the loss rose too: where nothing is learned, a smaller blow says the same. Not where the norms grow over
    the run.
    """
    p = measured.progress
    violent = max(overshoots_at_once(measured), early_descent_lost(measured))
    violent = max(violent, 0.0 if p is None else above(p.above_start))
    if measured.norms is not None:
        thrown = blow(measured.norms.blown_up) * first_loss_rise(measured)
        violent = max(violent, thrown, norm(measured.norms.start_over_rest))
    return never_learned(measured) * violent * (1.0 - gradients_grow(measured))


@sign("the rate starts at its peak")
def starts_at_peak(measured: Measured) -> float:
    """No warm-up at all, by the rate or by the configuration."""
    if measured.schedule.known:
        return float(measured.schedule.starts_high)
    return float(measured.config.warmup_steps == 0)


@part("the loss rises above its start within the first rows")
def early_rise(measured: Measured, *, rise: Ramp = share(0.05, 0.4)) -> float:
    """In the first sixteenth of the rows the highest median of five lies {rise} of the descent above the first two."""
    p = measured.progress
    value = measured.signals.loss[np.isfinite(measured.signals.loss)]
    early = value[: max(len(measured) // 16, 12)]
    if p is None or len(early) < 8 or not measured.signals.from_the_start:
        return 0.0
    span = max(p.start - p.best, 1e-300)
    table = np.lib.stride_tricks.sliding_window_view(early, 5)
    first = float(np.median(early[:2]))
    return rise((float(np.median(table, axis=1).max()) - first) / span)


@sign("the first updates throw the loss above its start, by {rise} of its descent or more")
def overshoots_at_once(
    measured: Measured,
    *,
    rise: Ramp = share(0.15, 0.7),
    in_noise: Ramp = Ramp(2.5, 5.0),
    over_rest: Ramp = Ramp(0.2, 0.7, "ln"),
    over_rest_linear: Ramp = share(0.1, 0.5),
) -> float:
    """A single row of the first ten, or of the first 1.5 %, does so.

    It must also be {over_rest} times everything in the rest of the first half (for losses with negative values above it by
    {over_rest_linear} of the descent), and {in_noise} deviations of the noise of these rows above the first one, since noisy
    losses fluctuate all the time.
    """
    p = measured.progress
    value = measured.signals.loss[np.isfinite(measured.signals.loss)]
    early = value[: max(10, len(value) // 64)]
    if p is None or len(early) < 8 or not measured.signals.from_the_start:
        return 0.0
    span = max(p.start - p.best, 1e-300)
    noise = neighbour_noise(value[: 8 * len(early)])
    top = float(early[1:].max())
    apart = 1.0
    if value[: 8 * len(early)].min() > 0:
        relative = start_noise(value[: 8 * len(early)], len(early) // 2)
        apart = in_noise(float(np.log(top / early[0])) / max(relative, 1e-9))
    following = value[len(early) : max(len(value) // 2, len(early) + 20)]
    if not len(following):
        return 0.0
    best = float(following.max())
    unmatched = over_rest(np.log(top / best)) if best > 0 else over_rest_linear((top - best) / span)
    return rise((top - float(early[0]) - 4.0 * noise) / span) * unmatched * apart * early_norm_unmatched(measured)


@part("the highest norm of the first rows is above all of the rest of the first half")
def early_norm_unmatched(measured: Measured, *, over_rest: Ramp = Ramp(-0.2, 0.3, "ln")) -> float:
    """{over_rest} times the highest there; counts fully where no norm is logged."""
    norm = measured.finite_norm
    early, following = norm[: max(10, len(norm) // 64)], norm[max(10, len(norm) // 64) : max(len(norm) // 2, 30)]
    if len(early) == 0 or len(following) == 0 or not following.max() > 0 or not early.max() > 0:
        return 1.0
    return over_rest(float(np.log(early.max() / following.max())))


@sign("the rate starts at its peak and the first updates overshoot")
def overshoot_without_warmup(measured: Measured) -> float:
    """The first updates at the full rate."""
    return starts_at_peak(measured) * overshoots_at_once(measured)


@sign("the rate starts at its peak and the first rows are rough")
def rough_start_without_warmup(measured: Measured, *, norm: Ramp = Ramp(0.8, 1.8, "ln")) -> float:
    """The loss rises above its start within the first rows, or the norm starts {norm} times above where it settles."""
    rough = early_rise(measured)
    if measured.norms is not None:
        rough = max(rough, norm(measured.norms.start_over_rest))
    return starts_at_peak(measured) * rough


@sign("the rate starts at its peak and trouble follows")
def trouble_without_warmup(measured: Measured) -> float:
    """The loss climbs again, stays raised, or rises above its start at once."""
    return starts_at_peak(measured) * max(climbs_at_high_rate(measured), stays_raised(measured), early_rise(measured))


@sign("the first updates multiply loss and norm")
def blown_up_by_updates(measured: Measured, *, norm: Ramp = times(4.7, 8.2)) -> float:
    """At least two of the next eleven rows have {norm} times the norm of the first row, and a loss far above its own.

    The first loss and the first gradient are measured before any update: where they are ordinary and those after them are
    not, the updates did it, and neither the data nor the initialisation.
    """
    if measured.norms is None:
        return 0.0
    return norm(measured.norms.blown_up) * first_loss_rise(measured) * start_is_seen(measured)


@part("the second highest loss of the rows after the first one lies above it")
def first_loss_rise(
    measured: Measured, *, rise: Ramp = Ramp(0.3, 0.6, "ln"), rise_linear: Ramp = share(0.5, 1.5)
) -> float:
    """It is {rise} times the first loss, or above it by {rise_linear} of the descent where losses take negative values.

    Beyond what batches differ by: two deviations of the noise of the rows that follow are taken off.
    """
    value = measured.signals.loss[np.isfinite(measured.signals.loss)]
    early = value[1 : first_rows(len(value))]
    if len(early) < 4:
        return 0.0
    top = float(np.sort(early)[-2])
    if value[0] > 0 and measured.loss.logarithmic:
        following = value[len(early) + 1 : 8 * len(early)]
        noise = neighbour_noise(np.log(following)) if len(following) > 1 and following.min() > 0 else 0.0
        return rise(float(np.log(top / value[0])) - 2.0 * noise)
    p = measured.progress
    return 0.0 if p is None else rise_linear((top - float(value[0])) / max(p.start - p.best, 1e-300))


@sign("the very first norm is {above} times or more the level at which the norm settles")
def first_norm_huge(
    measured: Measured,
    *,
    above: Ramp = times(150.0, 1000.0),
    settled: Ramp = Ramp(2.0, 1.2, "ln"),
    blow: Ramp = times(8.0, 3.0),
) -> float:
    """The median of the last two thirds is where it settles; at 12 to 20 % of the rows it is within {settled} times of it.

    No update raised it: the norms after the first one are less than {blow} times it. Not where the loss falls further.
    """
    n = measured.norms
    if n is None:
        return 0.0
    return (
        above(n.first_over_rest)
        * settled(n.settles_at_once)
        * blow(n.blown_up)
        * start_is_seen(measured)
        * falls_beyond_loss(measured)
    )
