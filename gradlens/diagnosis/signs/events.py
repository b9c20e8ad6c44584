"""Signs in single rows and short stretches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradlens.diagnosis.features.events import LOSS_Z, NORM_Z, Event, outlier_gap
from gradlens.diagnosis.signs.base import Ramp, rows_are_steps, share, sign, times
from gradlens.diagnosis.signs.changes import sudden_step
from gradlens.stats import adam

if TYPE_CHECKING:
    from gradlens.diagnosis.measured import Measured

#: Local deviations by which the loss may have risen in the rows before an event: beyond, it had broken away already.
BROKEN_AWAY = 3.0
#: Rows of a shock: longer ones are not a single batch.
SHOCK_ROWS = 3
#: Strength from which an event counts among several.
COUNTED = 1.15


def strong_events(measured: Measured) -> tuple[Event, ...]:
    """Isolated joint events before the loss has broken away: what a bad batch looks like."""
    return tuple(e for e in measured.events if e.isolated and e.ramp < BROKEN_AWAY)


@sign(
    "single rows stand out in loss and norm together, and the loss returns at once",
    loss_z=LOSS_Z,
    norm_z=NORM_Z,
)
def isolated_events(
    measured: Measured,
    *,
    strength: Ramp = Ramp(1.1, 1.8),
    alone: Ramp = Ramp(1.25, 1.9),
    alone_norm: Ramp = Ramp(1.4, 1.8),
) -> float:
    """The strongest passes the limits of {loss_z:g} deviations of the loss and {norm_z:g} of the norm {strength} times.

    One that is alone must pass them {alone} times, with a norm {alone_norm} times its level.
    """
    found = strong_events(measured)
    if len(found) == 1:
        return alone(found[0].strength) * alone_norm(found[0].norm_ratio)
    return strength(max((e.strength for e in found), default=0.0))


@sign("rows that stand out in loss and norm have norms larger than any batch could cause")
def absurd_events(measured: Measured, *, ratio: Ramp = Ramp(5.3, 7.0, "log10")) -> float:
    """The median of such rows is {ratio} times the level: inputs a hundred times too large give up to a hundred thousand times.

    Not where many norms are zero, as those of a margin that every example keeps: nothing is a multiple of their level.
    """
    if not measured.events or not measured.norm.logarithmic:
        return 0.0
    return ratio(float(np.log10(np.median([e.norm_ratio for e in measured.events]))))


@sign("several single rows stand out in loss and norm together")
def many_isolated_events(measured: Measured, *, count: Ramp = Ramp(1.0, 5.0)) -> float:
    """More than {count} rows from which the loss returns at once."""
    return count(float(sum(e.strength >= COUNTED for e in strong_events(measured))))


@sign("the rows that stand out most in loss and norm are separated by a gap from all others")
def events_apart(measured: Measured, *, gap: Ramp = Ramp(0.25, 0.9, "ln")) -> float:
    """Somewhere among the strongest rows there is a gap of {gap} times between neighbours: outliers rather than a heavy tail."""
    return gap(outlier_gap(measured.strength[max(len(measured) // 33, 5) :]))


@sign("the rows that stand out most in loss and norm are separated on a linear scale as well")
def events_far_apart(measured: Measured, *, gap: Ramp = Ramp(0.9, 2.2, "ln"), min_strength: float = 0.85) -> float:
    """A gap of {gap} times between neighbours, without logarithms, for losses whose logarithm is skewed low.

    With logarithms the strongest row must still reach {min_strength} of the limits.
    """
    linear = measured.linear_strength[max(len(measured) // 33, 5) :]
    if not len(linear) or measured.strength.max() < min_strength:
        return 0.0
    return gap(outlier_gap(linear))


@sign("neighbouring rows stand out in loss and norm together for a while, and the loss returns")
def burst(measured: Measured, *, event: Ramp = Ramp(0.95, 1.3), stretch: Ramp = Ramp(1.0, 1.4)) -> float:
    """Three rows or more that end and pass the limits {event} times, or a stretch with sharp edges that does so {stretch} times.

    Where a row stands for many steps, such a stretch is long and its edges are not seen: then this says nothing.
    """
    bursts = [
        e for e in measured.events
        if not e.isolated and e.rows <= max(len(measured) // 20, 5) and e.recovery <= max(len(measured) // 25, 8)
        and e.ramp < BROKEN_AWAY
    ]  # fmt: skip
    stretches = [e.strength for e in measured.bursts if e.ramp < BROKEN_AWAY]
    strongest = max(event(max((e.strength for e in bursts), default=0.0)), stretch(max(stretches, default=0.0)))
    return strongest * rows_are_steps(measured)


@sign("a short rise of the loss ends within a few rows")
def passing_rise(
    measured: Measured,
    *,
    errors: Ramp = Ramp(5.5, 9.0),
    within_few_rows: Ramp = share(0.3, 0.8),
    left: Ramp = Ramp(1.5, 0.6),
) -> float:
    """A rise by {errors} standard errors, {within_few_rows} of it within a few rows, of which {left} deviations are left later."""
    step = measured.loss_step
    return errors(step.errors) * within_few_rows(step.sharpness) * left(max(step.lasting, 0.0) * step.deviations)


@sign("one shock is followed by damage that outlasts it")
def damage_after_shock(measured: Measured, *, damage: Ramp = Ramp(0.8, 2.5), ratio: Ramp = Ramp(3.0, 10.0)) -> float:
    """After a norm {ratio} times its level the loss is {damage} deviations higher for 30 rows."""
    if not measured.events:
        return 0.0
    worst = max(measured.events, key=lambda e: e.norm_ratio)
    return damage(worst.damage) * ratio(worst.norm_ratio)


@sign("after one extreme gradient the loss swells for some steps before it recovers")
def swells_after_shock(
    measured: Measured,
    *,
    ratio: Ramp = times(20.0, 60.0),
    swell: Ramp = Ramp(1.5, 3.5),
    after: Ramp = Ramp(2.0, 5.0),
) -> float:
    """After a norm {ratio} times its level the loss climbs by {swell} deviations, highest no sooner than {after} rows later.

    Adam divides by a second moment that the shock has inflated, while its momentum still points where the shock did: the
    damage builds up over tens of steps after the batch has passed. Plain SGD is thrown at once, and a bad batch that does
    no harm leaves nothing.
    """
    shocks = [e for e in measured.events if e.norm_ratio > 1.0 and e.rows <= SHOCK_ROWS and e.ramp < BROKEN_AWAY]
    if not shocks:
        return 0.0
    worst = max(shocks, key=lambda e: e.norm_ratio)
    return ratio(np.log(worst.norm_ratio)) * swell(worst.swell) * after(worst.swell_at)


@sign("a shock meets a slow second moment of the optimizer")
def slow_memory(
    measured: Measured,
    *,
    rows: Ramp = Ramp(60.0, 100.0),
    slowed: Ramp = times(2.0, 5.0),
    memory: Ramp = Ramp(2.85, 3.5, "log10"),
    single_rows_count: float = 0.7,
) -> float:
    """The configuration says Adam, and beta2 is slow enough for a shock to divide the following steps by {slowed} for {rows} rows.

    The division is sqrt(1 + (1 - beta2) ratio²) for a norm that many times its level, as clipping lets it through, and it
    lasts for 1 / (1 - beta2) steps. Other damage, a sudden rise of the loss, or single rows that stand out (which count
    {single_rows_count} of their grade), count from a memory of {memory} steps: the thousand steps of the usual .999 are what
    most runs have, healthy or not.
    """
    beta2 = measured.config.beta2
    if beta2 is None or not 0 < beta2 < 1 or not is_adaptive(measured):
        return 0.0
    lasts = adam.memory(beta2) / max(measured.signals.log_interval or 1.0, 1.0)
    divided = slowed(float(np.log(adam.slowdown(shock(measured), beta2))))
    other = max(damage_after_shock(measured), sudden_step(measured), single_rows_count * isolated_events(measured))
    return max(rows(lasts) * divided, memory(-np.log10(1 - beta2)) * other)


def shock(measured: Measured) -> float:
    """The largest norm of a joint event over its level, as the optimizer saw it; 0 without an event."""
    worst = max((e.norm_ratio for e in measured.events if e.rows <= SHOCK_ROWS and e.ramp < BROKEN_AWAY), default=0.0)
    if measured.threshold and measured.threshold_source != "assumed" and len(measured.finite_norm):
        worst = min(worst, measured.threshold / max(float(np.median(measured.finite_norm)), 1e-300))
    return min(worst, 1e6)


@sign("the optimizer has no second moment, or one with a short memory")
def cannot_lag(measured: Measured, *, max_beta2: float = 0.96) -> float:
    """Plain SGD, or a beta2 of {max_beta2} or less, by the configuration."""
    if measured.config.optimizer is not None and not is_adaptive(measured):
        return 1.0
    return float(measured.config.beta2 is not None and measured.config.beta2 <= max_beta2)


def is_adaptive(measured: Measured) -> bool:
    """Whether the configuration names an optimizer of the Adam kind."""
    name = (measured.config.optimizer or "").lower()
    return any(word in name for word in ("adam", "lamb", "nadam", "radam", "adafactor", "rmsprop"))
