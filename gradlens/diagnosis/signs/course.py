"""Signs in the slow course of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.progress import FALLEN_RATE, LOW_RATE, RAISED
from gradlens.diagnosis.signs.base import Ramp, part, percent, share, sign, times
from gradlens.diagnosis.signs.changes import sudden_step

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


@sign("the loss never came down")
def never_learned(
    measured: Measured,
    *,
    descent: Ramp = share(0.09, 0.035),
    rows: Ramp = Ramp(40.0, 90.0),
    noise: Ramp = Ramp(2.0, 0.8),
    both_signs: Ramp = share(0.2, 0.05),
) -> float:
    """A descent of less than {descent} of the start, judged from {rows} rows on.

    For losses with negative values, a descent of less than {noise} deviations of the noise, with no more than {both_signs} of
    the rarer sign: a loss that changes its sign all the time has no level to come down from. Counts less where the first row
    already stands for many steps, since the first descent is then not in the log, and not where a model that was trained
    before learns a little more.
    """
    p = measured.progress
    if p is None:
        return 0.0
    enough = rows(float(len(measured))) * start_is_seen(measured)
    if not np.isnan(p.relative):
        return enough * descent(p.relative) * (1.0 - learns_a_little(measured))
    loss = measured.signals.loss[np.isfinite(measured.signals.loss)]
    negative = float(np.mean(loss < 0))
    return enough * noise(p.in_noise) * both_signs(min(negative, 1.0 - negative))


@part("a model that was trained before learns a little more")
def learns_a_little(
    measured: Measured,
    *,
    descent: Ramp = share(0.005, 0.015),
    noise: Ramp = share(0.015, 0.035),
    trained: Ramp = share(0.02, 0.035),
) -> float:
    """A descent that is certain, of {descent} of the start, in a loss that varies by {noise} from row to row.

    A model that has learned nothing gives every batch the same: its cross-entropy varies by less than a percent, or, where
    the targets themselves vary, does not come down at all. One that was trained before tells easy from hard batches; where its
    loss varies by {trained} it was trained before, whether it comes down or not.
    """
    p = measured.progress
    if p is None or measured.norms is None or np.isnan(measured.norms.loss_noise):
        return 0.0
    return max(descent(p.relative) * noise(measured.norms.loss_noise), trained(measured.norms.loss_noise))


@part("the first steps are logged one by one")
def start_is_seen(
    measured: Measured, *, interval: Ramp = Ramp(1.0, 2.5, "log10"), lost: float = 0.4, averaged: float = 0.6
) -> float:
    """Up to {lost} less where a row stands for {interval} steps; {averaged} for averages, 0 for a resumed run that restarts its step count.

    By the logging interval alone: where steps are counted from is a choice of the trainer.
    """
    if not measured.signals.from_the_start:
        return 0.0
    if measured.provenance.averaged:
        return averaged
    return 1.0 - lost * interval(float(np.log10(measured.signals.log_interval or 1.0)))


@sign("the loss never came down, with norms that were measured and did not grow")
def never_learned_with_norms(measured: Measured) -> float:
    """Norms are logged and vary, and did not grow while the loss stood still."""
    if measured.norms is None or measured.norms.noise == 0:
        return 0.0
    return never_learned(measured) * (1.0 - gradients_grow(measured))


@part("the norms grow over the run")
def gradients_grow(
    measured: Measured, *, growth: Ramp = times(2.0, 5.0), not_beyond: Ramp = times(100.0, 30.0)
) -> float:
    """Those of the last third are {growth} times those of the first third, but not {not_beyond} times: something is learned."""
    if measured.norms is None:
        return 0.0
    found = measured.norms.late_over_early
    return growth(found) * not_beyond(found)


@part("a rise of the loss can mean trouble")
def rise_is_trouble(measured: Measured, *, noise: Ramp = Ramp(1.5, 3.0), norm_fell: Ramp = times(2.0, 1.0)) -> float:
    """The descent, or the rise, is {noise} deviations of the noise between rows: less cannot serve as a measure of a rise.

    The surrogate loss of a policy gradient has no floor: it starts below zero and returns to it as the advantages, and the
    gradients with them, shrink. A rise of a loss that takes negative values therefore counts less, the more the norm has
    fallen by then, by a factor of {norm_fell}. A run that diverges has norms that grow.
    """
    p = measured.progress
    # The rise itself, or the descent, in deviations: a rebound is measured in descents of at least two deviations.
    certain = 1.0 if p is None else noise(max(p.in_noise, 0.5 * p.rebound * max(p.in_noise, 2.0)))
    if measured.loss.logarithmic or measured.norms is None:
        return certain
    return certain * norm_fell(-measured.norms.late_over_start)


@sign("the loss ends with at most {kept} of its descent kept")
def progress_lost(measured: Measured, *, kept: Ramp = share(0.75, 0.4)) -> float:
    """What was learned is lost again and not regained."""
    p = measured.progress
    return 0.0 if p is None else kept(p.kept) * (1.0 - never_learned(measured)) * rise_is_trouble(measured)


@sign("the loss rises again by {rebound} of its descent or more")
def rebounds(measured: Measured, *, rebound: Ramp = share(0.15, 0.5)) -> float:
    """The highest rise of the smoothed loss above its lowest level until then, beyond what noise would do."""
    p = measured.progress
    return 0.0 if p is None else rebound(p.rebound) * (1.0 - never_learned(measured)) * rise_is_trouble(measured)


@sign("the loss climbs again, without a jump, while the rate is high")
def climbs_at_high_rate(
    measured: Measured,
    *,
    rebound: Ramp = share(0.12, 0.35),
    rate: Ramp = share(0.2, 0.5),
    jump: Ramp = share(0.8, 0.5),
) -> float:
    """A rise by {rebound} of the descent, at {rate} of the highest rate, of which no row makes more than {jump}.

    While the rate first comes up, the rise may be sudden: a run is thrown off within a few rows. Later a jump has other causes.
    """
    p = measured.progress
    if p is None:
        return 0.0
    high = 1.0 if np.isnan(p.rebound_rate) else rate(p.rebound_rate)
    rising = p.rebound_at < max(0.10, 1.2 * measured.warmup_rows / max(len(measured), 1)) and p.rebound_at < 0.2
    gradual = 1.0 if rising else min(1.0 - sudden_step(measured), jump(p.rebound_sharpness))
    return rebound(p.rebound) * high * gradual * (1.0 - never_learned(measured)) * rise_is_trouble(measured)


@sign(
    "for {raised} of the rows or more the loss stays more than {above} of its descent above its lowest level",
    above=percent(RAISED),
)
def stays_raised(measured: Measured, *, raised: Ramp = share(0.03, 0.25)) -> float:
    """The lowest level until then, smoothed."""
    p = measured.progress
    return 0.0 if p is None else raised(p.raised) * (1.0 - never_learned(measured)) * rise_is_trouble(measured)


@sign("the loss grows to {explosion} times its first level or more")
def loss_explodes(measured: Measured, *, explosion: Ramp = times(2.5, 30.0)) -> float:
    """Smoothed, for losses without negative values."""
    p = measured.progress
    return 0.0 if p is None else explosion(p.explosion)


@sign("loss and norm stand out together in {part} of the rows or more, throughout the run")
def spiky_everywhere(measured: Measured, *, part: Ramp = share(0.025, 0.05), rows: Ramp = Ramp(5.0, 10.0)) -> float:
    """And in more than {rows} rows: not single batches but the run as a whole."""
    found = int(np.count_nonzero(measured.strength >= 1.0))
    return part(found / max(len(measured), 1)) * rows(float(found))


@sign("the loss rises above where it began, by {above} of its descent or more")
def above_start(measured: Measured, *, above: Ramp = share(0.05, 0.5)) -> float:
    """Smoothed, and beyond what chance would give."""
    p = measured.progress
    return 0.0 if p is None else above(p.above_start)


@part("half of the descent was made while the rate was still small")
def fast_at_small_rate(measured: Measured, *, rate: Ramp = share(0.25, 0.08)) -> float:
    """At no more than {rate} of the highest rate, during warm-up."""
    p = measured.progress
    if p is None or not measured.warmup_rows:
        return 0.0
    return rate(p.half_rate) * (1.0 - never_learned(measured))


@sign(
    "the loss makes {drop} of its descent or more after the rate has come down to {fallen} of its peak",
    fallen=percent(FALLEN_RATE),
)
def falls_with_rate(measured: Measured, *, drop: Ramp = share(0.10, 0.35)) -> float:
    """A rate that was high for a moment only explains nothing: most of any descent comes after that."""
    p = measured.progress
    return 0.0 if p is None else drop(p.drop_as_rate_falls)


@sign("the loss drops fast at small rates, stalls at high ones and moves again as the rate decays")
def stalls_at_high_rate(measured: Measured) -> float:
    """Half of the descent at small rates and a good part as the rate decays, both, where the log shows the first steps."""
    return min(fast_at_small_rate(measured), falls_with_rate(measured)) * start_is_seen(measured)


@sign("loss and norm drop within the first tenth, to levels far from zero, and then plateau for the rest of the run")
def stalls_at_once(
    measured: Measured,
    *,
    later: Ramp = share(0.22, 0.12),
    drop: Ramp = Ramp(1.3, 1.9, "ln"),
    low: Ramp = share(0.28, 0.42),
    later_if_lower: Ramp = share(0.06, 0.02),
    drop_if_lower: Ramp = Ramp(1.0, 2.0, "ln"),
    lower: Ramp = share(0.13, 0.2),
) -> float:
    """The norm falls {drop} times, the loss to no less than {low} of its start; {later} of the descent come after the first tenth.

    Or, for a loss that falls to no less than {lower} of its start: the norm falls {drop_if_lower} times, and {later_if_lower}
    of the descent come later. What a rate that is far too high leaves: after a few updates the outputs are as good as their
    biases and nearest inputs can make them, the units behind are dead or saturated, and the gradients small. A task with a
    floor of noise that is learned at once looks the same.
    """
    p = measured.progress
    if p is None or measured.norms is None or np.isnan(p.relative) or not p.start > 0:
        return 0.0
    end, fall = p.end / p.start, measured.norms.first_drop
    far = later(p.after_first_tenth) * drop(fall) * low(end)
    near = later_if_lower(p.after_first_tenth) * drop_if_lower(fall) * lower(end)
    return max(far, near) * start_is_seen(measured)


@sign(
    "the loss stalls at the high rate and falls several times as fast once the rate is small",
    low_rate=percent(LOW_RATE),
)
def accelerates_as_rate_decays(
    measured: Measured, *, drop: Ramp = share(0.3, 0.55), pace: Ramp = Ramp(2.0, 4.0)
) -> float:
    """Below {low_rate} of the peak rate it makes {drop} of its descent, {pace} times as fast as before."""
    p = measured.progress
    if p is None:
        return 0.0
    return drop(p.drop_at_low_rate) * pace(p.pace_at_low_rate) * (1.0 - sudden_step(measured))


@part("the loss was lower early on than where it is stuck")
def early_descent_lost(
    measured: Measured,
    *,
    errors: Ramp = Ramp(2.0, 5.0),
    above: Ramp = share(0.01, 0.03),
    norm_fell: Ramp = Ramp(0.0, -0.4, "ln"),
) -> float:
    """The first third is at its lowest {errors} standard errors, and {above} of the start, below the median of the last third.

    The standard errors allow for what a search finds by chance. Gradients that vanish never take a loss below the plateau that
    they leave it on; a step that is too large throws it back onto one, where the norms are small: {norm_fell} times those of
    the first third. A loss that grows together with its gradients, as that of learned values does when rewards are found, is
    on its way and not stuck.
    """
    p = measured.progress
    if p is None:
        return 0.0
    stuck = 1.0 if measured.norms is None else norm_fell(measured.norms.late_over_early)
    return errors(p.early_low) * above(p.late_over_low) * stuck * (1.0 - sudden_step(measured))


@sign("after an early drop the loss is stuck near where it began")
def stuck_after_drop(
    measured: Measured,
    *,
    kept: Ramp = share(0.5, 0.15),
    noise: Ramp = Ramp(3.0, 8.0),
    raised: Ramp = share(0.3, 0.7),
) -> float:
    """It keeps {kept} of a descent of {noise} deviations of its noise, and is raised for {raised} of the rows."""
    p = measured.progress
    if p is None:
        return 0.0
    return kept(p.kept) * noise(p.in_noise) * raised(p.raised) * rise_is_trouble(measured)
