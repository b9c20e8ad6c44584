"""The evidence: what a run shows, each sign graded from 0 (not at all) to 1 (plainly).

A sign is a statement about the log that a reader can check by looking at it. The limits of the grades are physical where
that is possible (the rate jumps by half, a third of the descent is lost), otherwise our own, set on labelled runs; what a
sign is worth as evidence for a cause is learned (see `weighing`). What a log cannot show grades 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradlens.checks.features.events import Event, outlier_gap
from gradlens.checks.features.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradlens.checks.case import Case


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """One sign: `text` finishes the sentence "the log shows that ..."."""

    name: str
    text: str
    grade: Callable[[Case], float]


SIGNS: dict[str, Sign] = {}


def sign(text: str) -> Callable[[Callable[[Case], float]], Callable[[Case], float]]:
    """Register a grading function as a sign of that meaning, under the function's name."""

    def register(grade: Callable[[Case], float]) -> Callable[[Case], float]:
        SIGNS[grade.__name__] = Sign(name=grade.__name__, text=text, grade=grade)
        return grade

    return register


#: Rows below which only the signs of `ANY_LENGTH` are graded: a course, a level or a tail needs more.
FEW_ROWS = 20


def grade_all(case: Case) -> Mapping[str, float]:
    """Every sign's grade; what cannot be measured is 0, and so is nearly everything in a log of fewer than 20 rows."""
    few = len(case) < FEW_ROWS
    # Logs hold anything: infinities and 1e300 give overflows and NaN, which grade 0.
    with np.errstate(all="ignore"):
        return {
            name: 0.0 if few and name not in ANY_LENGTH else _clean(entry.grade(case)) for name, entry in SIGNS.items()
        }


def _clean(grade: float) -> float:
    return min(max(float(grade), 0.0), 1.0) if np.isfinite(grade) else 0.0


def ramp(value: float | None, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, straight between; a falling ramp where low > high; 0 for what is not known."""
    if value is None or np.isnan(value):
        return 0.0
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


# --- the log itself ---------------------------------------------------------------------------------------------------


@sign("step numbers go back")
def steps_back(case: Case) -> float:
    """Any backward step in the log counts fully."""
    return float(bool(case.signals.restarts))


@sign("the schedule goes back to an earlier value and repeats itself from there")
def schedule_replayed(case: Case) -> float:
    """What a resume from a checkpoint does where steps were numbered on."""
    return float(bool(case.schedule.replayed))


@sign("the norms bunch right below the threshold and never exceed it")
def norms_bunched(case: Case) -> float:
    """The verdict of the provenance."""
    return float(case.provenance.verdict == "post_clip")


# --- numerics ---------------------------------------------------------------------------------------------------------


@sign("norms overflow again and again while the loss stays finite")
def overflows(case: Case) -> float:
    """Share of such rows after the first 5 %: healthy runs calibrate their scale before."""
    if case.numerics.overflow_count < 3:
        return 0.0
    return ramp(case.numerics.overflow_share, 0.008, 0.02)


@sign("the loss scale falls by orders of magnitude without coming back")
def scale_collapses(case: Case) -> float:
    """Ten halvings from its highest value, and ends below 16."""
    x = case.numerics
    return ramp(x.scale_fall, 7.0, 11.0) * ramp(x.last_scale, 64.0, 4.0)


@sign("the log ends in norms of exactly 0, or a long row of NaN came before them")
def zeros_after_nan(case: Case) -> float:
    """What a collapsed loss scale leaves where the scale is not logged."""
    x = case.numerics
    return float(x.zero_tail and x.longest_streak >= 8 and not case.provenance.placeholder)


@sign("loss or norm ends in NaN or infinity")
def ends_nonfinite(case: Case) -> float:
    """At least the last three logged values."""
    return float(case.numerics.dead_from is not None)


@sign("the run dies within its first twentieth")
def dies_at_once(case: Case) -> float:
    """Dead from the start: the initialisation or the first rates."""
    dead = case.numerics.dead_from
    return 0.0 if dead is None else ramp(dead / max(len(case), 1), 0.10, 0.05)


@sign("the norm grows exponentially over the last rows before the run dies")
def grows_before_death(case: Case) -> float:
    """Last finite norm at least ten times the level before, rising row by row."""
    if case.numerics.dead_from is None:
        return 0.0
    if case.norms is None:
        return 0.5
    return ramp(case.norms.last_rise, 1.5, 3.0)


# --- the norm ---------------------------------------------------------------------------------------------------------


@sign("the norm starts orders of magnitude above where it settles")
def norm_starts_huge(case: Case) -> float:
    """Highest level of the first fifth against the median of the rest: 25 to 100 times, and over by 12 % of the rows.

    Norms that fall with the loss of a task that is solved fall later, or go on falling.
    """
    if case.norms is None:
        return 0.0
    return ramp(case.norms.start_over_rest, 3.2, 4.6) * ramp(case.norms.settles_at_once, 2.0, 1.2)


@sign("many rows have norms more than twenty times the usual one")
def norm_far_above(case: Case) -> float:
    """One to three percent of the rows."""
    return 0.0 if case.norms is None else ramp(case.norms.rows_far_above, 0.005, 0.03)


@sign("the norm level jumps at least tenfold and stays there")
def norm_jumps_up(case: Case) -> float:
    """Eight to twelve times: more than a change of the batch size could do."""
    step = case.norm_step_up
    grade = ramp(step.errors, 4.5, 8.0) * ramp(step.size, np.log(8.0), np.log(12.0)) * ramp(step.lasting, 0.3, 0.7)
    return grade * (1.0 - sudden_step(case))


@sign("in a log of few rows one norm is far above all others, and the loss rises with it")
def shock_in_few_rows(case: Case) -> float:
    """At most 60 rows; 20 to 60 times the median norm, and a loss above the median by 5 to 20 % there or after."""
    s = case.signals
    both = np.isfinite(s.loss) & np.isfinite(s.norm) & (s.norm > 0) & (s.loss > 0)
    if len(case) > 60 or both.sum() < 3:
        return 0.0
    norm, loss = s.norm[both], s.loss[both]
    at = int(np.argmax(norm))
    if at == 0:
        return 0.0
    rise = float(loss[at : at + 2].max() / np.median(loss))
    return ramp(float(norm[at] / np.median(norm)), 20.0, 60.0) * ramp(rise, 1.05, 1.2)


@sign("the norm varies wildly from row to row while the loss does not")
def norm_wild(case: Case) -> float:
    """Upper deviation of ln norm of .45 to .8, with quiet losses."""
    if case.norms is None:
        return 0.0
    quiet_loss = 1.0 if np.isnan(case.norms.loss_noise) else ramp(case.norms.loss_noise, 0.4, 0.15)
    return ramp(case.norms.upper_spread, 0.45, 0.75) * quiet_loss * (1.0 - never_learned(case))


@sign("the norm hardly reacts to the batch")
def norm_quiet(case: Case) -> float:
    """Noise of ln norm between neighbouring rows below 5 %, for norms measured before clipping."""
    if case.norms is None or case.provenance.verdict in {"post_clip", "loss_scaled"} or case.provenance.averaged:
        return 0.0
    if not case.norms.noise > 0:
        return 0.0
    # Means over an epoch are quiet too, but then the loss is as well, and it learns.
    averaged = case.norms.loss_noise < 0.005 and never_learned(case) < 0.5 and len(case) < 400
    length = ramp(float(len(case)), 90.0, 180.0)
    return 0.0 if averaged else length * ramp(np.log(case.norms.noise), np.log(0.05), np.log(0.015))


@sign("the norm hardly reacts to the batch although the loss does")
def norm_quieter_than_loss(case: Case) -> float:
    """Noise of ln norm less than a quarter of that of ln loss."""
    if case.norms is None or not case.norms.loss_noise > 0 or not case.norms.noise > 0:
        return 0.0
    if case.provenance.verdict in {"post_clip", "loss_scaled"}:
        return 0.0
    return ramp(np.log(case.norms.noise / case.norms.loss_noise), np.log(0.5), np.log(0.15))


# --- the course of the loss -------------------------------------------------------------------------------------------


def _progress(case: Case) -> Progress | None:
    return case.progress


@sign("the loss never came down")
def never_learned(case: Case) -> float:
    """Best level within 3.5 to 9 % of the start; for losses with negative values, within a few deviations of its noise.

    Judged from 40 rows on, fully from 90.
    """
    p = case.progress
    if p is None:
        return 0.0
    enough = ramp(float(len(case)), 40.0, 90.0)
    return enough * (ramp(p.in_noise, 2.0, 0.8) if np.isnan(p.relative) else ramp(p.relative, 0.09, 0.035))


@sign("the loss never came down while the norms looked like those of a run that trains")
def never_learned_with_norms(case: Case) -> float:
    """As before, where norms are logged and were measured."""
    return never_learned(case) if case.norms is not None else 0.0


@sign("most of what was learned is lost again and not regained")
def progress_lost(case: Case) -> float:
    """The end keeps less than 70 to 30 % of the descent."""
    p = case.progress
    return 0.0 if p is None else ramp(p.kept, 0.75, 0.4) * (1.0 - never_learned(case))


@sign("the loss rises again by a good part of its descent")
def rebounds(case: Case) -> float:
    """15 to 50 % of the descent, beyond noise."""
    p = case.progress
    return 0.0 if p is None else ramp(p.rebound, 0.15, 0.5) * (1.0 - never_learned(case))


@sign("the loss climbs again, without a jump, while the rate is high")
def climbs_at_high_rate(case: Case) -> float:
    """A rebound that is no sudden step and peaks at more than half of the highest rate."""
    p = case.progress
    if p is None:
        return 0.0
    high = 1.0 if np.isnan(p.rebound_rate) else ramp(p.rebound_rate, 0.2, 0.5)
    # While the rate first comes up, a run is thrown off within a few rows; later a jump has other causes.
    rising = p.rebound_at < max(0.10, 1.2 * case.warmup_rows / max(len(case), 1)) and p.rebound_at < 0.2
    gradual = 1.0 if rising else min(1.0 - sudden_step(case), ramp(p.rebound_sharpness, 0.8, 0.5))
    return ramp(p.rebound, 0.12, 0.35) * high * gradual * (1.0 - never_learned(case))


@sign("the loss stays far above its lowest level for long")
def stays_raised(case: Case) -> float:
    """More than a third of the descent above, for 3 to 25 % of the rows."""
    p = case.progress
    return 0.0 if p is None else ramp(p.raised, 0.03, 0.25) * (1.0 - never_learned(case))


@sign("the loss grows by orders of magnitude above its start")
def loss_explodes(case: Case) -> float:
    """Three to fifty times its first level, smoothed."""
    p = case.progress
    return 0.0 if p is None else ramp(p.explosion, np.log(2.5), np.log(30.0))


@sign("loss and norm stand out together in many rows all over the run")
def spiky_everywhere(case: Case) -> float:
    """More than 2.5 to 5 % of the rows: not single batches but the way the run goes."""
    return ramp(float(np.mean(case.strength >= 1.0)) if len(case) else 0.0, 0.025, 0.05)


@sign("the loss rises above where it began")
def above_start(case: Case) -> float:
    """By 5 to 50 % of its descent, smoothed."""
    p = case.progress
    return 0.0 if p is None else ramp(p.above_start, 0.05, 0.5)


@sign("half of the descent was made while the rate was still small")
def fast_at_small_rate(case: Case) -> float:
    """At less than a quarter to a tenth of the highest rate, during warm-up."""
    p = case.progress
    if p is None or not case.warmup_rows:
        return 0.0
    return ramp(p.half_rate, 0.25, 0.08) * (1.0 - never_learned(case))


@sign("the loss comes down mostly as the rate decays")
def falls_with_rate(case: Case) -> float:
    """Share of the descent made after the rate fell to 70 % of its peak."""
    p = case.progress
    return 0.0 if p is None else ramp(p.drop_as_rate_falls, 0.10, 0.35)


@sign("the loss drops fast at small rates, stalls at high ones and moves again as the rate decays")
def stalls_at_high_rate(case: Case) -> float:
    """Both of the signs before, together."""
    return min(fast_at_small_rate(case), falls_with_rate(case))


@sign("after an early drop the loss is stuck")
def stuck_after_drop(case: Case) -> float:
    """The end lies near the start although the best level did not."""
    p = case.progress
    if p is None:
        return 0.0
    return ramp(p.kept, 0.5, 0.15) * ramp(p.in_noise, 3.0, 8.0) * ramp(p.raised, 0.3, 0.7)


@sign("the loss never came down, after a violent start")
def thrown_off(case: Case) -> float:
    """It overshot at once, rose above its start, or its norms began far above where they settled."""
    p = case.progress
    violent = max(overshoots_at_once(case), 0.0 if p is None else ramp(p.above_start, 0.5, 2.0))
    if case.norms is not None:
        violent = max(violent, ramp(case.norms.start_over_rest, 1.9, 2.8))
    return never_learned(case) * violent


@sign("the rate starts at its peak")
def starts_at_peak(case: Case) -> float:
    """No warm-up at all, by the rate or by the configuration."""
    if case.schedule.known:
        return float(case.schedule.starts_high)
    return float(case.config.warmup_steps == 0)


@sign("the loss rises above its start within the first rows")
def early_rise(case: Case) -> float:
    """In the first 6 % of the rows, the median of five against the first three rows, over the descent."""
    p = case.progress
    value = case.signals.loss[np.isfinite(case.signals.loss)]
    early = value[: max(len(case) // 16, 12)]
    if p is None or len(early) < 8:
        return 0.0
    span = max(p.start - p.best, 1e-300)
    table = np.lib.stride_tricks.sliding_window_view(early, 5)
    first = float(np.median(early[:2]))
    return ramp((float(np.median(table, axis=1).max()) - first) / span, 0.05, 0.4)


@sign("the first updates throw the loss far above its start")
def overshoots_at_once(case: Case) -> float:
    """A single row of the first ten, or of the first 1.5 %, above the first one by a fifth to the whole descent.

    It must also stand by a fifth to the double above everything in the rest of the first half, since noisy losses jump
    about all the time.
    """
    p = case.progress
    value = case.signals.loss[np.isfinite(case.signals.loss)]
    early = value[: max(10, len(value) // 64)]
    if p is None or len(early) < 8:
        return 0.0
    span = max(p.start - p.best, 1e-300)
    noise = float(np.median(np.abs(np.diff(value[: 8 * len(early)])))) / 0.954
    top = float(early[1:].max())
    following = value[len(early) : max(len(value) // 2, len(early) + 20)]
    if not len(following):
        return 0.0
    best = float(following.max())
    unmatched = ramp(np.log(top / best), 0.2, 0.7) if best > 0 else ramp((top - best) / span, 0.1, 0.5)
    return ramp((top - float(early[0]) - 4.0 * noise) / span, 0.15, 0.7) * unmatched * _early_norm_unmatched(case)


def _early_norm_unmatched(case: Case) -> float:
    """Whether the highest norm of the first rows is above all of the rest of the first half; 1 where none is logged."""
    norm = case.finite_norm
    early, following = norm[: max(10, len(norm) // 64)], norm[max(10, len(norm) // 64) : max(len(norm) // 2, 30)]
    if len(early) == 0 or len(following) == 0 or not following.max() > 0 or not early.max() > 0:
        return 1.0
    return ramp(float(np.log(early.max() / following.max())), -0.2, 0.3)


@sign("the rate starts at its peak and the first updates overshoot")
def overshoot_without_warmup(case: Case) -> float:
    """The first updates at the full rate."""
    return starts_at_peak(case) * overshoots_at_once(case)


@sign("the rate starts at its peak and the first rows are rough")
def rough_start_without_warmup(case: Case) -> float:
    """Loss above its start, or norms far above the later ones, within the first rows."""
    rough = early_rise(case)
    if case.norms is not None:
        rough = max(rough, ramp(case.norms.start_over_rest, 0.8, 1.8))
    return starts_at_peak(case) * rough


@sign("the rate starts at its peak and trouble follows")
def trouble_without_warmup(case: Case) -> float:
    """A rebound or a loss that stays raised, without a warm-up."""
    return starts_at_peak(case) * max(climbs_at_high_rate(case), stays_raised(case), early_rise(case))


# --- events -----------------------------------------------------------------------------------------------------------


def strong_events(case: Case) -> tuple[Event, ...]:
    """Isolated joint events before the loss has broken away: what a bad batch looks like."""
    return tuple(e for e in case.events if e.isolated and e.ramp < 3.0)


@sign("single rows stand out in loss and norm together, and the loss returns at once")
def isolated_events(case: Case) -> float:
    """The strongest one passes the limits (5 and 3 deviations) by 10 to 80 %; alone it must pass them by more."""
    found = strong_events(case)
    if len(found) == 1:
        return ramp(found[0].strength, 1.25, 1.9) * ramp(found[0].norm_ratio, 1.35, 1.7)
    return ramp(max((e.strength for e in found), default=0.0), 1.1, 1.8)


@sign("the norms of these rows are beyond anything that a batch could do")
def absurd_events(case: Case) -> float:
    """A typical event at 1e5 to 1e7 times the level: inputs a hundred times too large give 1e2 to 1e5."""
    if not case.events:
        return 0.0
    return ramp(float(np.log10(np.median([e.norm_ratio for e in case.events]))), 5.3, 7.0)


@sign("several such rows stand out")
def many_isolated_events(case: Case) -> float:
    """Two to six of them."""
    return ramp(float(sum(e.strength >= 1.15 for e in strong_events(case))), 1.0, 5.0)


@sign("these rows stand apart from the noise of all others")
def events_apart(case: Case) -> float:
    """A gap between neighbours among the strongest rows: outliers rather than a heavy tail."""
    return ramp(outlier_gap(case.strength[max(len(case) // 33, 5) :]), 0.25, 0.9)


@sign("on a plain scale too these rows stand far apart from all others")
def events_far_apart(case: Case) -> float:
    """The gap of `events_apart` without logarithms, for losses whose logarithm is skewed low."""
    linear = case.plain_strength[max(len(case) // 33, 5) :]
    if not len(linear) or case.strength.max() < 0.85:
        return 0.0
    return ramp(outlier_gap(linear), 0.9, 2.2)


@sign("neighbouring rows stand out together for a while and the loss returns")
def burst(case: Case) -> float:
    """Three rows or more in an event that ends."""
    bursts = [
        e for e in case.events
        if not e.isolated and e.rows <= max(len(case) // 20, 5) and e.recovery <= max(len(case) // 25, 8) and e.ramp < 3.0
    ]  # fmt: skip
    return ramp(max((e.strength for e in bursts), default=0.0), 0.95, 1.3)


@sign("a short rise of the loss ends within a few rows")
def passing_rise(case: Case) -> float:
    """A sudden step of the loss that does not last."""
    step = case.loss_step
    left = max(step.lasting, 0.0) * step.deviations
    return ramp(step.errors, 5.5, 9.0) * ramp(step.sharpness, 0.3, 0.8) * ramp(left, 1.5, 0.6)


@sign("one shock is followed by damage that outlasts it")
def damage_after_shock(case: Case) -> float:
    """The strongest event leaves the loss one to three deviations higher for 30 rows."""
    if not case.events:
        return 0.0
    worst = max(case.events, key=lambda e: e.norm_ratio)
    return ramp(worst.damage, 0.8, 2.5) * ramp(worst.norm_ratio, 3.0, 10.0)


@sign("a shock under a slow second moment")
def slow_memory(case: Case) -> float:
    """Damage after a shock, a step or a single event, where the configuration says Adam with a beta2 above .999.

    The usual .999 counts little, since most runs have it, healthy or not; .9997 and more counts fully.
    """
    beta2 = case.config.beta2
    if beta2 is None or not 0 < beta2 < 1 or not is_adaptive(case):
        return 0.0
    slow = ramp(-np.log10(1 - beta2), 2.85, 3.5)
    return slow * max(damage_after_shock(case), sudden_step(case), 0.7 * isolated_events(case))


@sign("the optimizer cannot lag: it keeps no second moment, or a short one")
def cannot_lag(case: Case) -> float:
    """Plain SGD, or beta2 of .96 or less, by the configuration."""
    if case.config.optimizer is not None and not is_adaptive(case):
        return 1.0
    return float(case.config.beta2 is not None and case.config.beta2 <= 0.96)


def is_adaptive(case: Case) -> bool:
    """Whether the configuration names an optimizer of the Adam kind."""
    name = (case.config.optimizer or "").lower()
    return any(word in name for word in ("adam", "lamb", "nadam", "radam", "adafactor", "rmsprop"))


# --- sudden changes ---------------------------------------------------------------------------------------------------


def _near_jump(case: Case, row: int) -> bool:
    near = max(len(case) // 50, 5)
    return any(-near <= row - at <= near for at, _ in case.schedule.jumps)


@sign("the loss level rises suddenly")
def sudden_step(case: Case) -> float:
    """5.7 to 8.6 standard errors and 1.3 to 2.3 deviations between the medians on both sides, within a few rows."""
    step = case.loss_step
    return (
        ramp(step.errors, 5.7, 8.6) * ramp(step.deviations, 1.3, 2.3) * ramp(step.sharpness, 0.35, 0.8)
        * ramp(step.size, 0.01, 0.03)
    )  # fmt: skip


@sign("the loss level rises suddenly and stays up, with no change of the rate")
def lasting_step(case: Case) -> float:
    """A sudden step of which a good part is left one to four windows later."""
    step = case.loss_step
    if _near_jump(case, step.row):
        return 0.0
    left = max(step.lasting, 0.0) * step.deviations
    return sudden_step(case) * ramp(left, 0.6, 1.5)


@sign("loss and norm levels fall suddenly together, with no fall of the rate")
def sudden_drop(case: Case) -> float:
    """Both within a few rows, both lasting: the data became easier."""
    loss, norm = case.loss_drop, case.norm_step_down
    if not loss.errors or abs(loss.row - norm.row) > max(len(case) // 50, 5) or case.schedule.falls_near(loss.row):
        return 0.0
    return (
        ramp(loss.errors, 5.7, 8.6) * ramp(loss.deviations, 1.3, 2.3) * ramp(loss.sharpness, 0.35, 0.8)
        * ramp(loss.lasting, 0.3, 0.7) * ramp(norm.errors, 5.0, 9.0)
    )  # fmt: skip


@sign("the run was calm before the sudden rise")
def calm_before_step(case: Case) -> float:
    """No rebound before the step."""
    p, step = case.progress, case.loss_step
    if p is None:
        return 0.0
    before = p.rebound_from * len(case) < step.row - max(len(case) // 20, 10) and p.rebound > 0.35
    return sudden_step(case) * (0.3 if before else 1.0)


def _norm_break(case: Case) -> tuple[float, float]:
    """Strength of the sudden change of the norm level, and how still the loss level is there."""
    up, down = case.norm_step_up, case.norm_step_down
    step = up if up.errors >= down.errors else down
    strength = ramp(step.errors, 4.5, 8.0) * ramp(abs(step.size), 0.3, 0.6) * ramp(step.sharpness, 0.25, 0.7)
    # The eighth part or eight times the batch changes norms by a factor of three; 64 times by eight.
    strength *= ramp(abs(step.size), np.log(12.0), np.log(8.0))
    if _near_jump(case, step.row) or step.lasting < 0.5:
        return 0.0, 0.0
    loss = case.loss.value
    width = int(np.clip(len(case) // 40, 8, 30))
    sides = loss[max(step.row - width, 0) : step.row], loss[step.row : step.row + width]
    if min(np.isfinite(side).sum() for side in sides) < 5:
        return 0.0, 0.0
    change = abs(float(np.nanmedian(sides[1]) - np.nanmedian(sides[0])))
    spread = float(np.nanmax(case.loss.spread[max(step.row - width, 0) : step.row + width]))
    return strength, ramp(change / max(spread, 1e-12), 2.0, 1.0)


@sign("the norm level changes suddenly while the loss level hardly does")
def norm_step_alone(case: Case) -> float:
    """A step of the norm by a third or more, and less than one deviation of the loss."""
    strength, still = _norm_break(case)
    return strength * still


@sign("the noise of loss and norm changes at one row")
def noise_changes(case: Case) -> float:
    """Level and spread of the norm and spread of the loss, all three together."""
    found = case.noise_break
    if found is None or _near_jump(case, found.row):
        return 0.0
    # A smaller batch raises all three, a larger one lowers them: what goes the other way speaks against both.
    way = 1.0 if found.norm_size + found.loss_spread > 0 else -1.0
    agreement = way * (found.loss_spread + found.norm_size + 0.5 * found.norm_spread)
    against = max(-way * found.norm_size, -way * found.loss_spread, 0.0)
    return (
        ramp(found.score, 5.0, 7.5)
        * ramp(agreement, 0.8, 1.6)
        * ramp(against, 0.5, 0.1)
        * ramp(abs(found.loss_deviations), 3.5, 1.5)
    )


# --- the schedule -----------------------------------------------------------------------------------------------------


@sign("the rate jumps up in mid-run")
def rate_jumps(case: Case) -> float:
    """By half or more, after the warm-up."""
    return ramp(max((ratio for _, ratio in case.schedule.jumps), default=1.0), 1.25, 1.5)


@sign("loss or norm jump with the rate")
def response_to_jump(case: Case) -> float:
    """Within 5 % of the run after the jump the loss rises by two deviations or the norm by a quarter."""
    n = len(case)
    best = 0.0
    for row, ratio in case.schedule.jumps:
        side = max(n // 20, 10)
        rise = 0.0
        loss = case.loss
        before, after = loss.value[max(row - side, 0) : row], loss.value[row : row + side]
        if np.isfinite(before).sum() >= 5 and np.isfinite(after).sum() >= 5:
            spread = float(np.nanmedian(loss.spread[max(row - side, 0) : row]))
            peak = _highest_median(after, 15)
            rise = ramp((peak - float(np.nanmedian(before))) / max(spread, 1e-12), 0.5, 1.5)
        before, after = case.norm.value[max(row - side, 0) : row], case.norm.value[row : row + side]
        if np.isfinite(before).sum() >= 5 and np.isfinite(after).sum() >= 5:
            rise = max(rise, ramp(_highest_median(after, 15) - float(np.nanmedian(before)), 0.08, 0.2))
        best = max(best, rise * ramp(ratio, 1.25, 1.5))
    return best


def _highest_median(value: NDArray[np.float64], width: int) -> float:
    known = value[np.isfinite(value)]
    if len(known) <= width:
        return float(np.median(known))
    return float(np.median(np.lib.stride_tricks.sliding_window_view(known, width), axis=1).max())


# --- clipping ---------------------------------------------------------------------------------------------------------


@sign("most steps after the warm-up are clipped")
def mostly_clipped(case: Case) -> float:
    """Between 35 and 60 % of them."""
    return 0.0 if case.clipped is None else ramp(case.clipped.rate, 0.35, 0.6)


@sign("nearly all steps are clipped")
def always_clipped(case: Case) -> float:
    """Between 75 and 95 % of the steps after the warm-up."""
    return 0.0 if case.clipped is None else ramp(case.clipped.rate, 0.75, 0.95)


@sign("the threshold lies far above the norms")
def threshold_out_of_reach(case: Case) -> float:
    """8 to 15 times the median norm, and reached by almost no step."""
    c = case.clipped
    return 0.0 if c is None else ramp(c.headroom, np.log(8.0), np.log(14.0)) * ramp(c.reach, 0.02, 0.004)


@sign("spikes go through below a threshold that is out of reach")
def spikes_go_through(case: Case) -> float:
    """Joint events together with such a threshold."""
    return threshold_out_of_reach(case) * max(isolated_events(case), burst(case), 0.8 * damage_after_shock(case))


#: Signs that a log of any length can show.
ANY_LENGTH = frozenset({"steps_back", "ends_nonfinite", "scale_collapses", "zeros_after_nan", "shock_in_few_rows"})
