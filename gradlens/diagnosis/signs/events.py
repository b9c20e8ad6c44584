"""Signs in single rows and short stretches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.events import Event, outlier_gap
from gradlens.diagnosis.signs.base import ramp, rows_are_steps, sign
from gradlens.diagnosis.signs.changes import sudden_step
from gradlens.stats import adam

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured


def strong_events(measured: Measured) -> tuple[Event, ...]:
    """Isolated joint events before the loss has broken away: what a bad batch looks like."""
    return tuple(e for e in measured.events if e.isolated and e.ramp < 3.0)


@sign("single rows stand out in loss and norm together, and the loss returns at once")
def isolated_events(measured: Measured) -> float:
    """The strongest one passes the limits (5 and 3 deviations) by 10 to 80 %; alone it must pass them by more."""
    found = strong_events(measured)
    if len(found) == 1:
        return ramp(found[0].strength, 1.25, 1.9) * ramp(found[0].norm_ratio, 1.4, 1.8)
    return ramp(max((e.strength for e in found), default=0.0), 1.1, 1.8)


@sign("the norms of these rows are beyond anything that a batch could do")
def absurd_events(measured: Measured) -> float:
    """A typical event at 1e5 to 1e7 times the level: inputs a hundred times too large give 1e2 to 1e5.

    Not where many norms are zero, as those of a margin that every example keeps: nothing is a multiple of their level.
    """
    if not measured.events or not measured.norm.logarithmic:
        return 0.0
    return ramp(float(np.log10(np.median([e.norm_ratio for e in measured.events]))), 5.3, 7.0)


@sign("several such rows stand out")
def many_isolated_events(measured: Measured) -> float:
    """Two to six of them."""
    return ramp(float(sum(e.strength >= 1.15 for e in strong_events(measured))), 1.0, 5.0)


@sign("these rows stand apart from the noise of all others")
def events_apart(measured: Measured) -> float:
    """A gap between neighbours among the strongest rows: outliers rather than a heavy tail."""
    return ramp(outlier_gap(measured.strength[max(len(measured) // 33, 5) :]), 0.25, 0.9)


@sign("on a plain scale too these rows stand far apart from all others")
def events_far_apart(measured: Measured) -> float:
    """The gap of `events_apart` without logarithms, for losses whose logarithm is skewed low."""
    linear = measured.linear_strength[max(len(measured) // 33, 5) :]
    if not len(linear) or measured.strength.max() < 0.85:
        return 0.0
    return ramp(outlier_gap(linear), 0.9, 2.2)


@sign("neighbouring rows stand out together for a while and the loss returns")
def burst(measured: Measured) -> float:
    """Three rows or more in an event that ends, or a stretch with sharp edges that stands out as a whole.

    Where a row stands for ten steps or more, such a stretch is long and its edges are not seen: then this says nothing.
    """
    bursts = [
        e for e in measured.events
        if not e.isolated and e.rows <= max(len(measured) // 20, 5) and e.recovery <= max(len(measured) // 25, 8) and e.ramp < 3.0
    ]  # fmt: skip
    stretches = [e.strength for e in measured.bursts if e.ramp < 3.0]
    strongest = max(
        ramp(max((e.strength for e in bursts), default=0.0), 0.95, 1.3), ramp(max(stretches, default=0.0), 1.0, 1.4)
    )
    return strongest * rows_are_steps(measured)


@sign("a short rise of the loss ends within a few rows")
def passing_rise(measured: Measured) -> float:
    """A sudden step of the loss that does not last."""
    step = measured.loss_step
    left = max(step.lasting, 0.0) * step.deviations
    return ramp(step.errors, 5.5, 9.0) * ramp(step.sharpness, 0.3, 0.8) * ramp(left, 1.5, 0.6)


@sign("one shock is followed by damage that outlasts it")
def damage_after_shock(measured: Measured) -> float:
    """The strongest event leaves the loss one to three deviations higher for 30 rows."""
    if not measured.events:
        return 0.0
    worst = max(measured.events, key=lambda e: e.norm_ratio)
    return ramp(worst.damage, 0.8, 2.5) * ramp(worst.norm_ratio, 3.0, 10.0)


@sign("after one extreme gradient the loss swells for some steps before it recovers")
def swells_after_shock(measured: Measured) -> float:
    """A norm 20 to 60 times its level, after which the loss climbs by 1.5 to 3.5 deviations, highest after 4 to 100 rows.

    Adam divides by a second moment that the shock has inflated, while its momentum still points where the shock did: the
    damage builds up over tens of steps after the batch has passed. Plain SGD is thrown at once, and a bad batch that does
    no harm leaves nothing.
    """
    found = [e for e in measured.events if e.norm_ratio > 20.0 and e.rows <= 3 and e.ramp < 3.0]
    if not found:
        return 0.0
    worst = max(found, key=lambda e: e.norm_ratio)
    return (
        ramp(np.log(worst.norm_ratio), np.log(20.0), np.log(60.0))
        * ramp(worst.swell, 1.5, 3.5)
        * ramp(worst.swell_at, 2.0, 5.0)
    )


@sign("a shock under a slow second moment")
def slow_memory(measured: Measured) -> float:
    """Damage after a shock where the configuration says Adam with a slow beta2.

    What the shock, as clipping lets it through, does to the steps that follow is `stats.adam.slowdown`, and for how long is
    `stats.adam.memory`: a division by 2 to 5 for 60 to 100 rows. Any other damage counts from a beta2 of .9986 to .9997: the
    usual .999 is what most runs have, healthy or not.
    """
    beta2 = measured.config.beta2
    if beta2 is None or not 0 < beta2 < 1 or not is_adaptive(measured):
        return 0.0
    rows = adam.memory(beta2) / max(measured.signals.log_interval or 1.0, 1.0)
    slowed = ramp(float(np.log(adam.slowdown(shock(measured), beta2))), np.log(2.0), np.log(5.0))
    other = max(damage_after_shock(measured), sudden_step(measured), 0.7 * isolated_events(measured))
    return max(ramp(rows, 60.0, 100.0) * slowed, ramp(-np.log10(1 - beta2), 2.85, 3.5) * other)


def shock(measured: Measured) -> float:
    """The largest norm of a joint event over its level, as the optimizer saw it; 0 without an event."""
    worst = max((e.norm_ratio for e in measured.events if e.rows <= 3 and e.ramp < 3.0), default=0.0)
    if measured.threshold and measured.threshold_source != "assumed" and len(measured.finite_norm):
        worst = min(worst, measured.threshold / max(float(np.median(measured.finite_norm)), 1e-300))
    return min(worst, 1e6)


@sign("the optimizer cannot lag: it keeps no second moment, or a short one")
def cannot_lag(measured: Measured) -> float:
    """Plain SGD, or beta2 of .96 or less, by the configuration."""
    if measured.config.optimizer is not None and not is_adaptive(measured):
        return 1.0
    return float(measured.config.beta2 is not None and measured.config.beta2 <= 0.96)


def is_adaptive(measured: Measured) -> bool:
    """Whether the configuration names an optimizer of the Adam kind."""
    name = (measured.config.optimizer or "").lower()
    return any(word in name for word in ("adam", "lamb", "nadam", "radam", "adafactor", "rmsprop"))
