"""Signs in the slow course of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.signs.base import ramp, sign
from gradlens.diagnosis.signs.changes import sudden_step

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


@sign("the loss never came down")
def never_learned(measured: Measured) -> float:
    """A descent of less than 9 to 3.5 % of the start, for certain; for losses with negative values, within a few deviations of its noise.

    Judged from 40 rows on, fully from 90; less where the first row already stands for many steps, since the first descent
    is then not in the log. Not where a model that was trained before learns a little more (`learns_a_little`), nor of a
    loss that changes its sign all the time: it has no level to come down from.
    """
    p = measured.progress
    if p is None:
        return 0.0
    enough = ramp(float(len(measured)), 40.0, 90.0) * start_is_seen(measured)
    if not np.isnan(p.relative):
        return enough * ramp(p.relative, 0.09, 0.035) * (1.0 - learns_a_little(measured))
    loss = measured.signals.loss[np.isfinite(measured.signals.loss)]
    negative = float(np.mean(loss < 0))
    return enough * ramp(p.in_noise, 2.0, 0.8) * ramp(min(negative, 1.0 - negative), 0.2, 0.05)


def learns_a_little(measured: Measured) -> float:
    """A descent that is certain, .5 to 1.5 % of the start, in a loss that varies by 1.5 to 3.5 % from row to row.

    A model that has learned nothing gives every batch the same: its cross-entropy varies by less than a percent, or, where
    the targets themselves vary, does not come down at all. One that was trained before tells easy from hard batches.
    """
    p = measured.progress
    if p is None or measured.norms is None or np.isnan(measured.norms.loss_noise):
        return 0.0
    return ramp(p.relative, 0.005, 0.015) * ramp(measured.norms.loss_noise, 0.015, 0.035)


def start_is_seen(measured: Measured) -> float:
    """How far a log shows the first steps one by one.

    1 for a row every ten steps or less, .6 from 300 on or for averages, 0 for a resumed run that counts its steps anew. By
    the logging interval alone: where steps are counted from is a choice of the trainer.
    """
    if not measured.signals.from_the_start:
        return 0.0
    if measured.provenance.averaged:
        return 0.6
    return 1.0 - 0.4 * ramp(float(np.log10(measured.signals.log_interval or 1.0)), 1.0, 2.5)


@sign("the loss never came down, with norms that were measured and did not grow")
def never_learned_with_norms(measured: Measured) -> float:
    """As before, where norms are logged and vary, and did not grow by two to five times while the loss stood still."""
    if measured.norms is None or measured.norms.noise == 0:
        return 0.0
    return never_learned(measured) * (1.0 - gradients_grow(measured))


def gradients_grow(measured: Measured) -> float:
    """Norms of the last third at 2 to 5 times those of the first third, but not beyond 30 to 100: something is being learned."""
    if measured.norms is None:
        return 0.0
    growth = measured.norms.late_over_early
    return ramp(growth, np.log(2.0), np.log(5.0)) * ramp(growth, np.log(100.0), np.log(30.0))


def rise_is_trouble(measured: Measured) -> float:
    """Whether a rise of the loss can mean trouble: 1 for positive losses whose descent, or whose rise, is more than noise.

    A descent of 1.5 to 3 deviations of the noise between rows is nothing that a rise of that size could be measured by.

    The surrogate loss of a policy gradient has no floor: it starts below zero and returns to it as the advantages, and the
    gradients with them, shrink. A rise of a loss that takes negative values therefore counts less, the more the norm has
    fallen by then: not at all where it fell to half. A run that diverges has norms that grow.
    """
    p = measured.progress
    # The rise itself, or the descent, in deviations: a rebound is measured in descents of at least two deviations.
    noise = 1.0 if p is None else ramp(max(p.in_noise, 0.5 * p.rebound * max(p.in_noise, 2.0)), 1.5, 3.0)
    if measured.loss.logarithmic or measured.norms is None:
        return noise
    return noise * ramp(-measured.norms.late_over_start, np.log(2.0), 0.0)


@sign("most of what was learned is lost again and not regained")
def progress_lost(measured: Measured) -> float:
    """The end keeps less than 70 to 30 % of the descent."""
    p = measured.progress
    return 0.0 if p is None else ramp(p.kept, 0.75, 0.4) * (1.0 - never_learned(measured)) * rise_is_trouble(measured)


@sign("the loss rises again by a good part of its descent")
def rebounds(measured: Measured) -> float:
    """15 to 50 % of the descent, beyond noise."""
    p = measured.progress
    return (
        0.0 if p is None else ramp(p.rebound, 0.15, 0.5) * (1.0 - never_learned(measured)) * rise_is_trouble(measured)
    )


@sign("the loss climbs again, without a jump, while the rate is high")
def climbs_at_high_rate(measured: Measured) -> float:
    """A rebound that is no sudden step and peaks at more than half of the highest rate."""
    p = measured.progress
    if p is None:
        return 0.0
    high = 1.0 if np.isnan(p.rebound_rate) else ramp(p.rebound_rate, 0.2, 0.5)
    # While the rate first comes up, a run is thrown off within a few rows; later a jump has other causes.
    rising = p.rebound_at < max(0.10, 1.2 * measured.warmup_rows / max(len(measured), 1)) and p.rebound_at < 0.2
    gradual = 1.0 if rising else min(1.0 - sudden_step(measured), ramp(p.rebound_sharpness, 0.8, 0.5))
    return ramp(p.rebound, 0.12, 0.35) * high * gradual * (1.0 - never_learned(measured)) * rise_is_trouble(measured)


@sign("the loss stays far above its lowest level for long")
def stays_raised(measured: Measured) -> float:
    """More than a third of the descent above, for 3 to 25 % of the rows."""
    p = measured.progress
    return (
        0.0 if p is None else ramp(p.raised, 0.03, 0.25) * (1.0 - never_learned(measured)) * rise_is_trouble(measured)
    )


@sign("the loss grows by orders of magnitude above its start")
def loss_explodes(measured: Measured) -> float:
    """Three to fifty times its first level, smoothed."""
    p = measured.progress
    return 0.0 if p is None else ramp(p.explosion, np.log(2.5), np.log(30.0))


@sign("loss and norm stand out together in many rows all over the run")
def spiky_everywhere(measured: Measured) -> float:
    """More than 2.5 to 5 % of the rows, and more than five to ten of them: not single batches but the way the run goes."""
    rows = int(np.count_nonzero(measured.strength >= 1.0))
    return ramp(rows / max(len(measured), 1), 0.025, 0.05) * ramp(float(rows), 5.0, 10.0)


@sign("the loss rises above where it began")
def above_start(measured: Measured) -> float:
    """By 5 to 50 % of its descent, smoothed."""
    p = measured.progress
    return 0.0 if p is None else ramp(p.above_start, 0.05, 0.5)


@sign("half of the descent was made while the rate was still small")
def fast_at_small_rate(measured: Measured) -> float:
    """At less than a quarter to a tenth of the highest rate, during warm-up."""
    p = measured.progress
    if p is None or not measured.warmup_rows:
        return 0.0
    return ramp(p.half_rate, 0.25, 0.08) * (1.0 - never_learned(measured))


@sign("the loss comes down mostly as the rate decays")
def falls_with_rate(measured: Measured) -> float:
    """Share of the descent made after the rate fell to 70 % of its peak."""
    p = measured.progress
    return 0.0 if p is None else ramp(p.drop_as_rate_falls, 0.10, 0.35)


@sign("the loss drops fast at small rates, stalls at high ones and moves again as the rate decays")
def stalls_at_high_rate(measured: Measured) -> float:
    """Both of the signs before, together, where the log shows the first steps."""
    return min(fast_at_small_rate(measured), falls_with_rate(measured)) * start_is_seen(measured)


@sign("loss and norm drop within the first tenth, to levels far from zero, and then stand still for good")
def stalls_at_once(measured: Measured) -> float:
    """The norm falls to a quarter or less, and of the descent only little comes after the first tenth of the rows.

    How little depends on where the loss stays: 6 to 2 % at an eighth to a fifth of its start, 22 to 12 % from two fifths on.
    What a rate that is far too high leaves: after a few updates the outputs are as good as their biases and nearest inputs
    can make them, the units behind are dead or saturated, and the gradients small. A task with a floor of noise that is
    learned at once looks the same.
    """
    p = measured.progress
    if p is None or measured.norms is None or np.isnan(p.relative) or not p.start > 0:
        return 0.0
    low, drop = p.end / p.start, measured.norms.first_drop
    far = ramp(p.after_first_tenth, 0.22, 0.12) * ramp(drop, 1.3, 1.9) * ramp(low, 0.28, 0.42)
    near = ramp(p.after_first_tenth, 0.06, 0.02) * ramp(drop, 1.0, 2.0) * ramp(low, 0.13, 0.2)
    return max(far, near) * start_is_seen(measured)


@sign("the loss stands still at the high rate and comes down several times as fast once the rate is small")
def accelerates_as_rate_decays(measured: Measured) -> float:
    """Below 35 % of the peak it makes 30 to 55 % of its descent, at 2 to 4 times the pace of the time at higher rates."""
    p = measured.progress
    if p is None:
        return 0.0
    return ramp(p.drop_at_low_rate, 0.3, 0.55) * ramp(p.pace_at_low_rate, 2.0, 4.0) * (1.0 - sudden_step(measured))


@sign("the loss was lower at first than where it is stuck")
def early_descent_lost(measured: Measured) -> float:
    """The lowest level of the first third lies 2 to 5 standard errors (after what a search finds) below the median of the last third.

    Gradients that vanish never take a loss below the plateau that they leave it on; a step that is too large throws it
    back onto one, where the norms are small: by a third or more below those of the first third. A loss that grows together
    with its gradients, as that of learned values does when rewards are found, is on its way and not stuck.
    """
    p = measured.progress
    if p is None:
        return 0.0
    stuck = 1.0 if measured.norms is None else ramp(measured.norms.late_over_early, 0.0, -0.4)
    return ramp(p.early_low, 2.0, 5.0) * ramp(p.late_over_low, 0.01, 0.03) * stuck * (1.0 - sudden_step(measured))


@sign("after an early drop the loss is stuck")
def stuck_after_drop(measured: Measured) -> float:
    """The end lies near the start although the best level did not."""
    p = measured.progress
    if p is None:
        return 0.0
    return ramp(p.kept, 0.5, 0.15) * ramp(p.in_noise, 3.0, 8.0) * ramp(p.raised, 0.3, 0.7) * rise_is_trouble(measured)
