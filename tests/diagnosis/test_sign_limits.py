"""Each sign at its limits, as `gradlens explain SIGN` states them: nothing at one, plain at the other, half in the middle.

What is measured is that of a healthy run with single figures of it set to what a row of the table says.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradlens.diagnosis.features.events import Event
from gradlens.diagnosis.features.steps import Break, Step
from gradlens.diagnosis.signs import PARTS, SIGNS
from gradlens.diagnosis.signs.norm import falls_further_than_loss
from tests.synthetic import N, healthy, make

#: A step that no limit of any sign holds back.
STEP = Step(row=600, errors=20.0, size=1.0, deviations=5.0, sharpness=1.0, abruptness=1.0, lasting=1.0)
NO_STEP = replace(STEP, errors=0.0)
BREAK = Break(row=600, score=20.0, norm_size=1.0, norm_spread=0.5, loss_spread=1.0, loss_deviations=0.0, abruptness=1.0)
EVENT = Event(
    first=600,
    last=600,
    strength=3.0,
    height=10.0,
    norm_ratio=50.0,
    recovery=0,
    damage=0.0,
    swell=0.0,
    swell_at=10,
    ramp=0.0,
)


def ln(value):
    return float(np.log(value))


def measured(n=N, *, columns=None, step=None, config=None, **changes):
    """A healthy run of which some figures are set: of a record by a mapping, anything else as a whole."""
    case = make(columns or healthy(n), step=step, threshold=5.0, config=config)
    for name, change in changes.items():
        if isinstance(change, dict):
            change = replace(getattr(case, name), **change)  # noqa: PLW2901 -- the mapping is only a spelling
        case.__dict__[name] = change
    return case


def grade(name, case):
    return {**SIGNS, **PARTS}[name].grade(case)


#: Nothing was learned, and the loss has hardly any noise.
STUCK = {"progress": {"relative": 0.01}, "norms": {"loss_noise": 0.001}}

#: Sign, what is set, and three values of one figure: none, half and full grade.
LIMITS = [
    ("progress_lost", "progress", "kept", (0.75, 0.575, 0.4)),
    ("rebounds", "progress", "rebound", (0.15, 0.325, 0.5)),
    ("stays_raised", "progress", "raised", (0.03, 0.14, 0.25)),
    ("loss_explodes", "progress", "explosion", (ln(2.5), 0.5 * (ln(2.5) + ln(30.0)), ln(30.0))),
    ("above_start", "progress", "above_start", (0.05, 0.275, 0.5)),
    ("fast_at_small_rate", "progress", "half_rate", (0.25, 0.165, 0.08)),
    ("falls_with_rate", "progress", "drop_as_rate_falls", (0.10, 0.225, 0.35)),
    ("norm_far_above", "norms", "rows_far_above", (0.005, 0.0175, 0.03)),
    ("norm_wild", "norms", "upper_spread", (0.45, 0.6, 0.75)),
    ("gradients_grow", "norms", "late_over_early", (ln(2.0), 0.5 * (ln(2.0) + ln(5.0)), ln(5.0))),
    ("mostly_clipped", "clipped", "rate", (0.35, 0.475, 0.6)),
    ("always_clipped", "clipped", "rate", (0.75, 0.85, 0.95)),
    ("weights_grow", "recorded", "growth", (ln(3.5), 0.5 * (ln(3.5) + ln(8.0)), ln(8.0))),
    ("weights_hold", "recorded", "growth", (ln(1.35), 0.5 * (ln(1.35) + ln(1.1)), ln(1.1))),
    ("updates_long", "recorded", "long_update_ratio", (0.04, 0.095, 0.15)),
    ("own_batch_worse", "recorded", "own_batch_worse", (0.25, 0.425, 0.6)),
    ("step_beyond_edge", "recorded", "edge", (1.6, 1.9, 2.2)),
    ("step_within_edge", "recorded", "edge", (1.2, 0.9, 0.6)),
    ("penalty_dominates", "recorded", "data_share", (0.7, 0.575, 0.45)),
    ("batch_size_steps", "recorded", "batch_change", (ln(1.5), 0.5 * (ln(1.5) + ln(2.0)), ln(2.0))),
    ("batch_size_steps", "recorded", "batch_change", (-ln(1.5), -0.5 * (ln(1.5) + ln(2.0)), -ln(2.0))),
]


@pytest.mark.parametrize(("name", "record", "figure", "values"), LIMITS)
def test_a_sign_of_one_figure(name, record, figure, values):
    grades = [grade(name, measured(**{record: {figure: value}})) for value in values]
    assert grades == pytest.approx([0.0, 0.5, 1.0], abs=1e-9)


#: Sign, what is set so that it is plain, and what takes it away: the figure, and its values at grades of 1, a half and 0.
WITH_OTHERS = [
    ("sudden_step", {"loss_step": STEP}, "loss_step", "errors", (8.6, 7.15, 5.7)),
    ("sudden_step", {"loss_step": STEP}, "loss_step", "deviations", (2.3, 1.8, 1.3)),
    ("sudden_step", {"loss_step": STEP}, "loss_step", "sharpness", (0.8, 0.575, 0.35)),
    ("sudden_step", {"loss_step": STEP}, "loss_step", "size", (0.03, 0.02, 0.01)),
    ("lasting_step", {"loss_step": replace(STEP, deviations=3.0)}, "loss_step", "lasting", (0.5, 0.35, 0.2)),
    ("passing_rise", {"loss_step": replace(STEP, lasting=0.0)}, "loss_step", "errors", (9.0, 7.25, 5.5)),
    ("passing_rise", {"loss_step": replace(STEP, lasting=0.0)}, "loss_step", "sharpness", (0.8, 0.55, 0.3)),
    ("passing_rise", {"loss_step": STEP}, "loss_step", "lasting", (0.12, 0.21, 0.3)),
    ("sudden_drop", {"loss_drop": STEP, "norm_step_down": STEP}, "loss_drop", "errors", (8.6, 7.15, 5.7)),
    ("sudden_drop", {"loss_drop": STEP, "norm_step_down": STEP}, "loss_drop", "deviations", (2.3, 1.8, 1.3)),
    ("sudden_drop", {"loss_drop": STEP, "norm_step_down": STEP}, "loss_drop", "sharpness", (0.8, 0.575, 0.35)),
    ("sudden_drop", {"loss_drop": STEP, "norm_step_down": STEP}, "loss_drop", "lasting", (0.7, 0.5, 0.3)),
    ("sudden_drop", {"loss_drop": STEP, "norm_step_down": STEP}, "norm_step_down", "errors", (9.0, 7.0, 5.0)),
    ("norm_jumps_up", {"norm_step_up": replace(STEP, size=3.0)}, "norm_step_up", "errors", (8.0, 6.25, 4.5)),
    ("norm_jumps_up", {"norm_step_up": STEP}, "norm_step_up", "size", (ln(12.0), 0.5 * (ln(8.0) + ln(12.0)), ln(8.0))),
    ("norm_jumps_up", {"norm_step_up": replace(STEP, size=3.0)}, "norm_step_up", "lasting", (0.7, 0.5, 0.3)),
    ("norm_step_alone", {"norm_step_up": STEP, "norm_step_down": NO_STEP}, "norm_step_up", "errors", (8.0, 6.25, 4.5)),
    ("norm_step_alone", {"norm_step_up": STEP, "norm_step_down": NO_STEP}, "norm_step_up", "size", (0.6, 0.45, 0.3)),
    ("norm_step_alone", {"norm_step_up": STEP, "norm_step_down": NO_STEP}, "norm_step_up", "size", (-0.6, -0.45, -0.3)),
    ("norm_step_alone", {"norm_step_up": STEP, "norm_step_down": NO_STEP}, "norm_step_up", "size",
     (ln(8.0), 0.5 * (ln(8.0) + ln(12.0)), ln(12.0))),
    ("norm_step_alone", {"norm_step_up": STEP, "norm_step_down": NO_STEP}, "norm_step_up", "sharpness", (0.7, 0.475, 0.25)),
    ("norm_step_alone", {"norm_step_up": STEP, "norm_step_down": NO_STEP}, "norm_step_up", "abruptness", (0.45, 0.35, 0.25)),
    ("norm_step_alone", {"norm_step_up": STEP, "norm_step_down": NO_STEP}, "norm_step_up", "row", (240, 168, 96)),
    ("noise_changes", {"noise_break": BREAK}, "noise_break", "score", (7.5, 6.25, 5.0)),
    ("noise_changes", {"noise_break": replace(BREAK, loss_spread=0.4, norm_spread=0.0)}, "noise_break", "norm_size",
     (1.2, 0.8, 0.4)),
    ("noise_changes", {"noise_break": replace(BREAK, norm_size=0.4, loss_spread=0.4)}, "noise_break", "norm_spread",
     (1.6, 0.8, 0.0)),
    ("noise_changes", {"noise_break": replace(BREAK, norm_spread=0.0)}, "noise_break", "loss_spread", (1.9, 2.15, 2.4)),
    ("noise_changes", {"noise_break": replace(BREAK, norm_size=3.0)}, "noise_break", "loss_spread", (-0.1, -0.3, -0.5)),
    ("noise_changes", {"noise_break": BREAK}, "noise_break", "abruptness", (0.5, 0.425, 0.35)),
    ("noise_changes", {"noise_break": BREAK}, "noise_break", "row", (240, 168, 96)),
    ("noise_changes", {"noise_break": BREAK}, "noise_break", "loss_deviations", (1.5, 2.5, 3.5)),
    ("noise_changes", {"noise_break": BREAK}, "noise_break", "loss_deviations", (-1.5, -2.5, -3.5)),
    ("never_learned", STUCK, "progress", "relative", (0.035, 0.0625, 0.09)),
    ("never_learned", {"progress": {"relative": 0.005}}, "norms", "loss_noise", (0.02, 0.0275, 0.035)),
    ("never_learned_with_norms", STUCK, "norms", "late_over_early", (ln(2.0), 0.5 * (ln(2.0) + ln(5.0)), ln(5.0))),
    ("gradients_grow", {"norms": {"late_over_early": ln(10.0)}}, "norms", "late_over_early",
     (ln(30.0), 0.5 * (ln(30.0) + ln(100.0)), ln(100.0))),
    ("rise_is_trouble", {}, "progress", "in_noise", (3.0, 2.25, 1.5)),
    ("progress_lost", {"progress": {"kept": 0.0}}, "progress", "in_noise", (3.0, 2.25, 1.5)),
    ("climbs_at_high_rate", {"progress": {"rebound_rate": 1.0, "rebound_at": 0.5, "rebound_sharpness": 0.0}},
     "progress", "rebound", (0.35, 0.235, 0.12)),
    ("climbs_at_high_rate", {"progress": {"rebound": 0.9, "rebound_at": 0.5, "rebound_sharpness": 0.0}},
     "progress", "rebound_rate", (0.5, 0.35, 0.2)),
    ("climbs_at_high_rate", {"progress": {"rebound": 0.9, "rebound_rate": 1.0, "rebound_at": 0.5}},
     "progress", "rebound_sharpness", (0.5, 0.65, 0.8)),
    ("stalls_at_once", {"progress": {"start": 4.0, "end": 2.0, "after_first_tenth": 0.0}, "norms": {"first_drop": 3.0}},
     "progress", "after_first_tenth", (0.12, 0.17, 0.22)),
    ("stalls_at_once", {"progress": {"start": 4.0, "end": 2.0, "after_first_tenth": 0.06}, "norms": {"first_drop": 3.0}},
     "norms", "first_drop", (1.9, 1.6, 1.3)),
    ("stalls_at_once", {"progress": {"start": 1.0, "after_first_tenth": 0.06}, "norms": {"first_drop": 3.0}},
     "progress", "end", (0.42, 0.35, 0.28)),
    ("stalls_at_once", {"progress": {"start": 1.0, "end": 0.25, "after_first_tenth": 0.0}, "norms": {"first_drop": 3.0}},
     "progress", "after_first_tenth", (0.02, 0.04, 0.06)),
    ("stalls_at_once", {"progress": {"start": 1.0, "end": 0.25, "after_first_tenth": 0.0}, "norms": {"first_drop": 3.0}},
     "norms", "first_drop", (2.0, 1.5, 1.0)),
    ("stalls_at_once", {"progress": {"start": 1.0, "after_first_tenth": 0.0}, "norms": {"first_drop": 3.0}},
     "progress", "end", (0.2, 0.165, 0.13)),
    ("accelerates_as_rate_decays", {"progress": {"pace_at_low_rate": 9.0}}, "progress", "drop_at_low_rate", (0.55, 0.425, 0.3)),
    ("accelerates_as_rate_decays", {"progress": {"drop_at_low_rate": 0.9}}, "progress", "pace_at_low_rate", (4.0, 3.0, 2.0)),
    ("early_descent_lost", {"progress": {"early_low": 9.0, "late_over_low": 0.5}, "norms": {"late_over_early": -1.0}},
     "progress", "early_low", (5.0, 3.5, 2.0)),
    ("early_descent_lost", {"progress": {"early_low": 9.0, "late_over_low": 0.5}, "norms": {"late_over_early": -1.0}},
     "progress", "late_over_low", (0.03, 0.02, 0.01)),
    ("early_descent_lost", {"progress": {"early_low": 9.0, "late_over_low": 0.5}}, "norms", "late_over_early", (-0.4, -0.2, 0.0)),
    ("stuck_after_drop", {"progress": {"in_noise": 20.0, "raised": 0.9}}, "progress", "kept", (0.15, 0.325, 0.5)),
    ("stuck_after_drop", {"progress": {"kept": 0.0, "in_noise": 20.0}}, "progress", "raised", (0.7, 0.5, 0.3)),
    ("stuck_after_drop", {"progress": {"kept": 0.0, "raised": 0.9}}, "progress", "in_noise", (8.0, 5.5, 3.0)),
    ("norm_starts_huge", {"norms": {"start_over_rest": 9.0, "settles_at_once": 0.0}}, "norms", "start_over_rest", (4.6, 3.9, 3.2)),
    ("norm_starts_huge", {"norms": {"start_over_rest": 9.0}}, "norms", "settles_at_once", (1.2, 1.6, 2.0)),
    ("falls_beyond_loss", {"norms": {"first_over_rest": 0.0, "start_over_rest": 1.0}}, "norms", "loss_first_over_rest",
     (1.3, 1.9, 2.5)),
    ("falls_beyond_loss", {"norms": {"first_over_rest": 1.0, "start_over_rest": 0.0}}, "norms", "loss_first_over_rest",
     (1.3, 1.9, 2.5)),
    ("first_norm_huge", {"norms": {"first_over_rest": 9.0, "settles_at_once": 0.0}}, "norms", "first_over_rest",
     (ln(1000.0), 0.5 * (ln(150.0) + ln(1000.0)), ln(150.0))),
    ("first_norm_huge", {"norms": {"first_over_rest": 9.0}}, "norms", "settles_at_once", (1.2, 1.6, 2.0)),
    ("first_norm_huge", {"norms": {"first_over_rest": 9.0, "settles_at_once": 0.0}}, "norms", "blown_up",
     (ln(3.0), 0.5 * (ln(3.0) + ln(8.0)), ln(8.0))),
    ("norm_wild", {"norms": {"upper_spread": 1.0}}, "norms", "loss_noise", (0.15, 0.275, 0.4)),
    ("norm_quiet", {"columns": "falling"}, "norms", "noise", (0.015, np.sqrt(0.015 * 0.05), 0.05)),
    ("norm_fades_smoothly", {"columns": "falling", "norms": {"fade": 3.0, "smoothness": 1.0, "noise": 0.001}},
     "norms", "fade", (0.4, 0.325, 0.25)),
    ("norm_fades_smoothly", {"columns": "falling", "norms": {"fade": 9.0, "smoothness": 1.0, "noise": 0.001}},
     "norms", "smoothness", (0.99, 0.975, 0.96)),
    ("norm_fades_smoothly", {"columns": "falling", "norms": {"fade": 9.0, "smoothness": 1.0}},
     "norms", "noise", (0.045, 0.0675, 0.09)),
    ("norm_fades_smoothly", {"columns": "falling", "norms": {"fade": 0.5, "smoothness": 1.0}},
     "norms", "noise", (0.015, 0.0225, 0.03)),
    ("norm_quieter_than_loss", {"norms": {"loss_noise": 0.1}}, "norms", "noise", (0.015, 0.1 * np.sqrt(0.5 * 0.15), 0.05)),
    ("threshold_out_of_reach", {"clipped": {"reach": 0.0}}, "clipped", "headroom",
     (ln(14.0), 0.5 * (ln(8.0) + ln(14.0)), ln(8.0))),
    ("threshold_out_of_reach", {"clipped": {"headroom": 9.0}}, "clipped", "reach", (0.004, 0.012, 0.02)),
    ("overflows", {"numerics": {"overflow_count": 3}}, "numerics", "overflow_share", (0.02, 0.014, 0.008)),
    ("overflows", {"numerics": {"overflow_share": 1.0}}, "numerics", "overflow_count", (3, None, 2)),
    ("scale_collapses", {"numerics": {"last_scale": 1.0}}, "numerics", "scale_fall", (11.0, 9.0, 7.0)),
    ("scale_collapses", {"numerics": {"scale_fall": 20.0}}, "numerics", "last_scale", (4.0, 34.0, 64.0)),
    ("zeros_after_nan", {"numerics": {"zero_tail": True}}, "numerics", "longest_streak", (8, None, 7)),
    ("dies_at_once", {}, "numerics", "dead_from", (60, 90, 120)),
    ("grows_before_death", {"numerics": {"dead_from": 1000}}, "norms", "last_rise", (3.0, 2.25, 1.5)),
]  # fmt: skip


def falling():
    """A norm that falls further than the loss, as that of a penalty does."""
    run = healthy()
    return {**run, "grad_norm": run["grad_norm"] * np.exp(-2.0 * np.arange(N) / N)}


@pytest.mark.parametrize(("name", "others", "record", "figure", "values"), WITH_OTHERS)
def test_a_sign_of_several_figures(name, others, record, figure, values):
    others = dict(others)
    if others.pop("columns", None) == "falling":
        others["columns"] = falling()
    grades = []
    for value in values:
        if value is None:
            continue
        case = measured(**others)
        case.__dict__[record] = replace(getattr(case, record), **{figure: value})
        grades.append(grade(name, case))
    expected = [1.0, 0.5, 0.0] if None not in values else [1.0, 0.0]
    assert grades == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("relative", "noise", "expected"),
    [
        (0.015, 0.02, 0.25),
        (0.01, 0.019, 0.1),
        (0.005, 0.019, 0.0),
        (1.0, 0.015, 0.0),
        (0.0, 0.0275, 0.5),
        (0.0, 0.035, 1.0),
    ],
)
def test_a_trained_model_learns_a_little(relative, noise, expected):
    case = measured(progress={"relative": relative}, norms={"loss_noise": noise})
    assert grade("learns_a_little", case) == pytest.approx(expected)
    assert grade("learns_a_little", measured(norms={"loss_noise": float("nan")})) == 0.0


@pytest.mark.parametrize(("rows", "expected"), [(40, 0.0), (65, 0.5), (90, 1.0)])
def test_too_few_rows_tell_nothing_of_learning(rows, expected):
    case = measured(rows, progress={"relative": 0.01}, norms={"loss_noise": 0.001})
    assert grade("never_learned", case) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("in_noise", "negative", "expected"),
    [
        (0.8, 0.0, 1.0),
        (1.4, 0.0, 0.5),
        (2.0, 0.0, 0.0),
        (0.8, 0.05, 1.0),
        (0.8, 0.125, 0.5),
        (0.8, 0.2, 0.0),
        (0.8, 0.95, 1.0),
    ],
)
def test_losses_of_both_signs_are_judged_by_their_noise(in_noise, negative, expected):
    run = healthy()
    run["loss"] = np.where(np.arange(N) < negative * N, -0.5, 0.5)
    case = measured(columns=run, progress={"relative": float("nan"), "in_noise": in_noise})
    assert grade("never_learned", case) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("interval", "seen"), [(1, 1.0), (10, 1.0), (56.234, 0.8), (316.23, 0.6), (5000, 0.6)])
def test_first_steps_are_seen_less_where_a_row_stands_for_many(interval, seen):
    case = measured()
    case.signals = replace(case.signals, log_interval=interval)
    assert grade("start_is_seen", case) == pytest.approx(seen, abs=1e-4)
    case.__dict__["provenance"] = replace(case.provenance, averaged=True)
    assert grade("start_is_seen", case) == 0.6


@pytest.mark.parametrize(("interval", "single"), [(3, 1.0), (6.5, 0.5), (10, 0.0)])
def test_rows_are_steps_up_to_three_of_them(interval, single):
    case = measured()
    case.signals = replace(case.signals, log_interval=interval)
    assert grade("rows_are_steps", case) == pytest.approx(single)


def of_events(*changes, **others):
    return measured(events=tuple(replace(EVENT, **change) for change in changes), **others)


@pytest.mark.parametrize(
    ("name", "events", "expected"),
    [
        ("isolated_events", [{"strength": 1.25}], 0.0),
        ("isolated_events", [{"strength": 1.575}], 0.5),
        ("isolated_events", [{"strength": 1.9}], 1.0),
        ("isolated_events", [{"norm_ratio": 1.6}], 0.5),
        ("isolated_events", [{"norm_ratio": 1.8}], 1.0),
        ("isolated_events", [{"strength": 1.1}, {"strength": 1.0}], 0.0),
        ("isolated_events", [{"strength": 1.45}, {"strength": 1.0}], 0.5),
        ("isolated_events", [{"strength": 1.8}, {"strength": 1.0}], 1.0),
        ("isolated_events", [{"ramp": 2.99}], 1.0),
        ("isolated_events", [{"ramp": 3.0}], 0.0),  # it had broken away before
        ("isolated_events", [], 0.0),
        ("many_isolated_events", [{"strength": 1.15}], 0.0),
        ("many_isolated_events", [{"strength": 1.15}] * 3, 0.5),
        ("many_isolated_events", [{"strength": 1.15}] * 5, 1.0),
        ("many_isolated_events", [{"strength": 1.14}] * 5, 0.0),
        ("absurd_events", [{"norm_ratio": 10.0**5.3}], 0.0),
        ("absurd_events", [{"norm_ratio": 10.0**6.15}], 0.5),
        ("absurd_events", [{"norm_ratio": 1e7}], 1.0),
        ("absurd_events", [{"norm_ratio": 1e7}, {"norm_ratio": 1.0}, {"norm_ratio": 1.0}], 0.0),  # the median counts
        ("absurd_events", [], 0.0),
        ("damage_after_shock", [{"damage": 0.8}], 0.0),
        ("damage_after_shock", [{"damage": 1.65}], 0.5),
        ("damage_after_shock", [{"damage": 2.5}], 1.0),
        ("damage_after_shock", [{"damage": 2.5, "norm_ratio": 6.5}], 0.5),
        ("damage_after_shock", [{"damage": 2.5, "norm_ratio": 3.0}], 0.0),
        ("damage_after_shock", [{"damage": 2.5, "norm_ratio": 20.0}, {}], 0.0),  # of the largest norm
        ("damage_after_shock", [], 0.0),
        ("swells_after_shock", [{"norm_ratio": 60.0, "swell": 3.5}], 1.0),
        ("swells_after_shock", [{"norm_ratio": 20.0, "swell": 3.5}], 0.0),
        ("swells_after_shock", [{"norm_ratio": 1200.0**0.5, "swell": 3.5}], 0.5),
        ("swells_after_shock", [{"norm_ratio": 60.0, "swell": 2.5}], 0.5),
        ("swells_after_shock", [{"norm_ratio": 60.0, "swell": 1.5}], 0.0),
        ("swells_after_shock", [{"norm_ratio": 60.0, "swell": 3.5, "swell_at": 5}], 1.0),
        ("swells_after_shock", [{"norm_ratio": 60.0, "swell": 3.5, "swell_at": 2}], 0.0),
        ("swells_after_shock", [{"norm_ratio": 60.0, "swell": 3.5, "last": 602}], 1.0),
        ("swells_after_shock", [{"norm_ratio": 60.0, "swell": 3.5, "last": 603}], 0.0),  # more than a batch
        ("swells_after_shock", [{"norm_ratio": 60.0, "swell": 3.5, "ramp": 3.0}], 0.0),
        ("burst", [{"last": 610, "strength": 1.3}], 1.0),
        ("burst", [{"last": 610, "strength": 1.125}], 0.5),
        ("burst", [{"last": 610, "strength": 0.95}], 0.0),
        ("burst", [{"last": 659, "strength": 1.3}], 1.0),  # a twentieth of the run
        ("burst", [{"last": 660, "strength": 1.3}], 0.0),
        ("burst", [{"last": 610, "strength": 1.3, "recovery": 48}], 1.0),
        ("burst", [{"last": 610, "strength": 1.3, "recovery": 49}], 0.0),
        ("burst", [{"last": 610, "strength": 1.3, "ramp": 3.0}], 0.0),
        ("burst", [{"strength": 1.3}], 0.0),  # a single row
    ],
)
def test_events(name, events, expected):
    assert grade(name, of_events(*events)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("strength", "expected"), [(1.0, 0.0), (1.2, 0.5), (1.4, 1.0)])
def test_stretches_with_sharp_edges_are_bursts(strength, expected):
    assert grade("burst", measured(bursts=(replace(EVENT, strength=strength),))) == pytest.approx(expected)
    assert grade("burst", measured(bursts=(replace(EVENT, strength=strength, ramp=3.0),))) == 0.0


@pytest.mark.parametrize(
    ("optimizer", "beta2", "ratio", "expected"),
    [
        ("adamw", 0.999, 1e6, 1.0),
        ("adamw", 0.99, 1e6, 1.0),  # 100 rows
        ("adamw", 0.9875, 1e6, 0.5),  # 80 rows
        ("adamw", 1 - 1 / 60, 1e6, 0.0),
        ("sgd", 0.999, 1e6, 0.0),
        (None, 0.999, 1e6, 0.0),
        ("adam", None, 1e6, 0.0),
        ("adam", 1.0, 1e6, 0.0),
        ("lamb", 0.99, np.sqrt(3.0) * 10, 0.0),  # divided by two
        ("radam", 0.99, np.sqrt(9.0) * 10, 0.5),  # by the root of ten
        ("rmsprop", 0.99, np.sqrt(24.0) * 10, 1.0),  # by five
    ],
)
def test_how_long_a_second_moment_remembers(optimizer, beta2, ratio, expected):
    from gradlens.config import TrainingConfig

    config = TrainingConfig(optimizer=optimizer, beta2=beta2)
    case = of_events({"norm_ratio": ratio, "strength": 0.0}, config=config)
    case.threshold = None
    assert grade("slow_memory", case) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("beta2", "expected"), [(1 - 10**-2.85, 0.0), (1 - 10**-3.175, 0.5), (1 - 10**-3.5, 1.0)])
def test_a_very_slow_second_moment_makes_damage_its_own(beta2, expected):
    from gradlens.config import TrainingConfig

    config = TrainingConfig(optimizer="adam", beta2=float(beta2))
    assert grade("slow_memory", measured(loss_step=STEP, config=config)) == pytest.approx(expected, abs=1e-6)
    # Single rows count seven tenths.
    case = of_events({"norm_ratio": 1.8, "strength": 3.0}, config=config)
    assert grade("slow_memory", case) == pytest.approx(0.7 * expected, abs=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "beta2", "cannot"),
    [
        ("sgd", None, 1.0),
        ("adam", None, 0.0),
        (None, 0.96, 1.0),
        (None, 0.961, 0.0),
        ("AdamW", 0.95, 1.0),
        (None, None, 0.0),
    ],
)
def test_what_cannot_lag(optimizer, beta2, cannot):
    from gradlens.config import TrainingConfig

    assert grade("cannot_lag", measured(config=TrainingConfig(optimizer=optimizer, beta2=beta2))) == cannot


@pytest.mark.parametrize(("ratio", "expected"), [(1.25, 0.0), (1.375, 0.5), (1.5, 1.0)])
def test_a_rate_that_jumps(ratio, expected):
    case = measured()
    case.__dict__["schedule"] = replace(case.schedule, jumps=((600, ratio), (700, 1.1)))
    assert grade("rate_jumps", case) == pytest.approx(expected)
    # A step of the loss near such a jump does not count as lasting by itself: within a fiftieth of the run, 24 rows.
    for row, near in ((624, True), (625, False), (576, True), (575, False)):
        case.__dict__["loss_step"] = replace(STEP, row=row)
        assert (grade("lasting_step", case) == 0.0) == near


@pytest.mark.parametrize(("level", "expected"), [(1.08, 0.0), (1.14, 0.5), (1.2, 1.0)])
def test_norms_that_jump_with_the_rate(level, expected):
    norm = np.where(np.arange(N) < 600, 1.0, np.exp(level - 1.0))
    case = measured(columns={"loss": np.full(N, 2.0), "grad_norm": norm, "lr": np.ones(N)})
    case.__dict__["norm"] = replace(case.norm, value=np.log(norm))
    case.__dict__["schedule"] = replace(case.schedule, jumps=((600, 1.5),))
    assert grade("response_to_jump", case) == pytest.approx(expected, abs=1e-6)
    case.__dict__["schedule"] = replace(case.schedule, jumps=((600, 1.375),))
    assert grade("response_to_jump", case) == pytest.approx(0.5 * expected, abs=1e-6)


@pytest.mark.parametrize(("fall", "expected"), [(0.0, 0.0), (0.075, 0.5), (0.15, 1.0)])
def test_how_much_further_than_the_loss_a_norm_falls(fall, expected):
    row = np.arange(200)
    loss = np.where(row < 100, 2.0, 1.0)
    norm = np.where(row < 100, 2.0 * np.exp(fall), 1.0)
    case = make({"loss": loss, "grad_norm": norm}, threshold=None)
    assert falls_further_than_loss(case) == pytest.approx(expected, abs=1e-6)
    assert falls_further_than_loss(make({"loss": loss[:39], "grad_norm": norm[:39]}, threshold=None)) == 1.0
    assert falls_further_than_loss(make({"loss": loss[:40], "grad_norm": norm[:40]}, threshold=None)) == 0.0


@pytest.mark.parametrize(
    ("rows", "spiky", "expected"),
    [(1200, 30, 0.0), (1200, 45, 0.5), (1200, 60, 1.0), (100, 5, 0.0), (100, 7, 0.4), (100, 10, 1.0)],
)
def test_spikes_everywhere(rows, spiky, expected):
    strength = np.zeros(rows)
    strength[:spiky] = 1.0
    strength[spiky:] = 0.99
    assert grade("spiky_everywhere", measured(rows, strength=strength)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("layers", "apart", "expected"), [(4, 3.0, 0.0), (4, 3.75, 0.5), (4, 4.5, 1.0), (3, 9.0, 0.0), (9, 4.5, 1.0)]
)
def test_layers_that_fade(layers, apart, expected):
    run = healthy(100)
    # The lowest third against the highest; what lies between does not count.
    size = np.concatenate((np.zeros(layers - layers // 3), np.full(layers // 3, apart)))
    size[layers // 3 : layers - layers // 3] = 0.1 * apart if layers > 3 else 0.0
    named = {f"grad_norm/{i}": np.full(100, 10.0 ** size[i]) for i in range(layers)}
    assert grade("layers_fade", make(run, layers=named)) == pytest.approx(expected, abs=1e-6)


def test_the_same_bad_batches():
    ids = np.arange(float(N))
    events = ({"first": 300, "last": 300}, {"first": 800, "last": 800})
    for changed, expected in (
        ({}, 0.0),
        ({300: 7e6, 800: 7e6}, 1.0),
        ({300: 7e6, 800: 7e6, 500: 7e6}, 0.0),
        ({300: 7e6}, 0.0),
    ):
        case = of_events(*events)
        batch = ids.copy()
        for row, number in changed.items():
            batch[row] = number
        case.__dict__["recorded"] = replace(case.recorded, batch_id=batch)
        assert grade("bad_batches_repeat", case) == expected


def test_a_second_moment_that_holds_a_shock():
    for drop, expected in ((ln(1.3), 0.0), (0.5 * (ln(1.3) + ln(2.5)), 0.5), (ln(2.5), 1.0)):
        case = of_events({"damage": 2.5, "norm_ratio": 20.0}, recorded={"lag_drop": drop})
        assert grade("second_moment_holds_shock", case) == pytest.approx(expected)
    ratio = {**healthy(), "rms_ratio": np.ones(N)}
    for drop, expected in ((ln(1.35), 0.0), (0.5 * (ln(1.35) + ln(1.1)), 0.5), (ln(1.1), 1.0)):
        assert grade("second_moment_keeps_up", measured(columns=ratio, recorded={"lag_drop": drop})) == pytest.approx(
            expected
        )
        assert grade("second_moment_keeps_up", measured(recorded={"lag_drop": drop})) == 0.0


@pytest.mark.parametrize(("correlation", "noisy"), [(None, 1.0), (0.0, 1.0), (0.15, 0.5), (0.3, 0.0), (-0.5, 1.0)])
def test_a_loss_that_varies_by_the_batch(correlation, noisy):
    from gradlens.diagnosis.signs.base import has_batch_noise

    assert has_batch_noise(measured(change_correlation=correlation)) == pytest.approx(noisy)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ([4.0, 2.0, 2.0, 2.0, 8.0, 8.0, 2.0, 2.0, 8.0], 1.0),
        ([4.0, 2.0, 2.0, 2.0, 8.0, 2.0, 2.0, 2.0, 2.0], 0.0),  # one row of them
        ([4.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0], 0.0),  # not above the first
        ([4.0, 4.0, 4.0, 4.0, 4.8, 4.8, 4.8], 0.0),
        ([4.0, 2.0, 8.0, 8.0, 8.0], 0.0),  # five rows
        ([4.0, 2.0, 2.0, 2.0, 8.0, 8.0, 2.0, 2.0, 2.0], 0.0),  # regained
        ([-4.0, 2.0, 2.0, 2.0, 8.0, 8.0, 8.0], 0.0),
    ],
)
def test_few_rows_that_diverge(loss, expected):
    assert grade("diverges_in_few_rows", make({"loss": np.array(loss)})) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("rows", "at", "norm", "loss", "expected"),
    [
        (20, 10, 60.0, 1.2, 1.0),
        (20, 10, 40.0, 1.2, 0.5),
        (20, 10, 20.0, 1.2, 0.0),
        (20, 10, 60.0, 1.125, 0.5),
        (20, 10, 60.0, 1.05, 0.0),
        (20, 3, 60.0, 1.2, 1.0),
        (20, 2, 60.0, 1.2, 0.0),  # in the first rows
        (60, 10, 60.0, 1.2, 1.0),
        (61, 10, 60.0, 1.2, 0.0),
    ],
)
def test_a_shock_in_few_rows(rows, at, norm, loss, expected):
    columns = {"loss": np.ones(rows), "grad_norm": np.ones(rows)}
    columns["grad_norm"][at] = norm
    columns["loss"][at + 1] = loss
    assert grade("shock_in_few_rows", make(columns, threshold=None)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("height", "rows", "expected"),
    [(1.0, 2, 0.0), (np.exp(0.45), 2, 0.5), (np.exp(0.6), 2, 1.0), (np.exp(0.3), 2, 0.0), (9.0, 1, 0.0)],
)
def test_losses_after_the_first_updates(height, rows, expected):
    run = healthy()
    run["loss"] = np.ones(N)
    run["loss"][3 : 3 + rows] = height
    assert grade("first_loss_rise", measured(columns=run)) == pytest.approx(expected, abs=1e-6)


def test_a_sign_is_nothing_where_nothing_was_measured():
    case = make({"loss": np.array([1.0, 2.0])}, threshold=None)
    graded = {name: sign.grade(case) for name, sign in SIGNS.items()}
    assert graded["starts_at_peak"] == 0.0
    assert sum(graded.values()) == pytest.approx(0.0)


def stepped(value, *, row=600, **others):
    """A run of which the loss is given, with a step that no limit holds back at a row."""
    return measured(
        columns={**healthy(), "loss": np.asarray(value, dtype=float)}, loss_step=replace(STEP, row=row), **others
    )


@pytest.mark.parametrize(("left", "expected"), [(0.05, 0.0), (0.0325, 0.5), (0.015, 1.0)])
def test_what_stays_of_a_shock(left, expected):
    # The rows from two before the step on are its first ones; what came before those is the level, what follows is what stays.
    loss = np.full(N, 1.0)
    loss[:580] = 50.0  # out of the twenty rows before
    loss[600:603] = 101.0
    loss[603:634] = 1.0 + 100.0 * left
    loss[660:] = 77.0  # out of the first rows, a twentieth of the run, and of the thirty rows after
    assert grade("step_after_shock", stepped(loss, progress=None)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("high", "expected"),
    [((600, 601, 602), 1.0), ((600, 606), 0.0), ((600, 603), 1.0), ((600, 604), 0.0), ((660,), 0.0), ((659,), 1.0)],
)
def test_the_first_rows_of_a_shock_are_a_twentieth_of_the_run_and_most_of_them_high(high, expected):
    loss = np.full(N, 1.0)
    loss[list(high)] = 101.0
    assert grade("step_after_shock", stepped(loss)) == pytest.approx(expected, abs=1e-6)


def test_a_shock_without_five_rows_after_it_shows_nothing_that_stays():
    for rows, expected in ((4, 0.0), (5, 1.0)):
        loss = np.full(N, 1.0)
        loss[600] = 101.0
        loss[602 + rows - 1 :] = np.nan
        # Two rows after the last high one are left out.
        case = stepped(np.where(np.arange(N) < 602 + rows, np.nan_to_num(loss, nan=1.0), np.nan))
        assert grade("step_after_shock", case) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("above", "expected"), [(0.1, 1.0), (0.225, 0.65), (0.35, 0.3)])
def test_a_run_that_climbed_before_its_step(above, expected):
    # A level right before the step above the lowest one, in descents; without noise nothing is allowed for.
    loss = 1.0 + 1e-7 * np.random.default_rng(0).standard_normal(N)
    loss[500:600] += 3.0 * above
    case = stepped(loss, progress={"start": 4.0, "best": 1.0})
    assert grade("calm_before_step", case) == pytest.approx(expected, abs=1e-4)
    assert grade("calm_before_step", stepped(loss, row=9)) == 0.0


@pytest.mark.parametrize(
    ("level", "rise", "expected"),
    [(0.01, 0.02, 1.0), (0.01, 0.0115, 0.5), (0.01, 0.003, 0.0), (2.0, 0.003, 1.0)],
)
def test_a_rise_of_a_loss_that_has_come_down_far(level, rise, expected):
    # Of a descent of one, side by side over a fortieth of the run.
    loss = np.full(N, level)
    loss[:570] = loss[630:] = 9.0
    loss[600:630] = level + rise
    case = stepped(loss, progress={"start": 1.0 if level < 1 else 4.0, "best": 0.0 if level < 1 else 3.0})
    assert grade("step_matters", case) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("deviations", "expected"), [(1.0, 1.0), (1.5, 0.5), (2.0, 0.0), (-1.5, 0.5)])
def test_a_norm_that_changes_alone(deviations, expected):
    case = measured(norm_step_up=STEP, norm_step_down=replace(STEP, errors=0.0))
    value = np.zeros(N)
    value[600:] = deviations * 0.1
    case.__dict__["loss"] = replace(case.loss, value=value, spread=np.full(N, 0.1))
    assert grade("norm_step_alone", case) == pytest.approx(expected, abs=1e-6)
    # Five losses on either side, thirty rows at most.
    value[601:604] = value[605:630] = np.nan
    assert grade("norm_step_alone", case) == 0.0
    for lasting, kept in ((0.5, expected), (0.49, 0.0)):
        value = np.where(np.arange(N) < 600, 0.0, deviations * 0.1)
        case.__dict__["loss"] = replace(case.loss, value=value, spread=np.full(N, 0.1))
        case.__dict__["norm_step_up"] = replace(STEP, lasting=lasting)
        assert grade("norm_step_alone", case) == pytest.approx(kept, abs=1e-6)


def test_the_larger_step_of_the_norm_counts():
    still = replace(STEP, errors=9.0)
    for up, down, expected in ((20.0, 9.0, 0.0), (9.0, 20.0, 1.0), (9.0, 9.0, 0.0)):
        case = measured(
            norm_step_up=replace(still, errors=up, sharpness=0.0), norm_step_down=replace(still, errors=down, size=-1.0)
        )
        case.__dict__["loss"] = replace(case.loss, value=np.zeros(N), spread=np.full(N, 0.1))
        assert grade("norm_step_alone", case) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("apart", "expected"), [(24, 1.0), (25, 0.0)])
def test_loss_and_norm_fall_within_a_fiftieth_of_the_run(apart, expected):
    case = measured(loss_drop=STEP, norm_step_down=replace(STEP, row=600 + apart))
    assert grade("sudden_drop", case) == pytest.approx(expected)
    assert grade("sudden_drop", measured(loss_drop=replace(STEP, errors=0.0), norm_step_down=STEP)) == 0.0
    case.__dict__["change_correlation"] = 0.2
    assert grade("sudden_drop", case) == 0.0


@pytest.mark.parametrize(
    ("at", "warm", "sharp", "expected"),
    [
        (0.09, 0, 1.0, 1.0),
        (0.11, 0, 1.0, 0.0),
        (0.11, 120, 1.0, 1.0),
        (0.19, 300, 1.0, 1.0),
        (0.21, 300, 1.0, 0.0),
        (0.5, 0, 0.0, 1.0),
    ],
)
def test_a_rise_while_the_rate_comes_up_may_be_sudden(at, warm, sharp, expected):
    case = measured(
        progress={"rebound": 0.9, "rebound_rate": 1.0, "rebound_at": at, "rebound_sharpness": sharp}, warmup_rows=warm
    )
    assert grade("climbs_at_high_rate", case) == pytest.approx(expected)
    unknown = measured(
        progress={"rebound": 0.9, "rebound_rate": float("nan"), "rebound_at": at, "rebound_sharpness": sharp},
        warmup_rows=warm,
    )
    assert grade("climbs_at_high_rate", unknown) == pytest.approx(expected)


def test_a_larger_and_a_smaller_batch_change_all_the_same_way():
    for way in (1.0, -1.0):
        found = Break(
            row=600,
            score=20.0,
            norm_size=way,
            norm_spread=0.5 * way,
            loss_spread=way,
            loss_deviations=0.0,
            abruptness=1.0,
        )
        assert grade("noise_changes", measured(noise_break=found)) == 1.0
        assert grade("noise_changes", measured(noise_break=replace(found, norm_size=-0.6 * way))) == 0.0
    assert grade("noise_changes", measured(noise_break=None)) == 0.0
    assert grade("noise_changes", measured(noise_break=BREAK, change_correlation=0.2)) == 0.0


def test_surrogate_losses_whose_gradients_shrank_may_rise():
    run = healthy()
    run["loss"] -= 2.0
    for fell, expected in ((2.0, 0.0), (np.sqrt(2.0), 0.5), (1.0, 1.0), (0.5, 1.0)):
        case = measured(columns=run, norms={"late_over_start": -np.log(fell)}, progress={"in_noise": 9.0})
        assert grade("rise_is_trouble", case) == pytest.approx(expected, abs=1e-6)
    # The rise counts like a descent of at least two deviations.
    for rebound, expected in ((1.5, 0.0), (2.25, 0.5), (3.0, 1.0)):
        case = measured(progress={"in_noise": 1.0, "rebound": rebound})
        assert grade("rise_is_trouble", case) == pytest.approx(expected)


# --- the first rows


def opened(first, *, n=N, lr=None, **others):
    """A loss of one that begins as given, with a descent of one; norms of one. Its digits are not those of a rounded log."""
    loss = np.ones(n)
    loss[: len(first)] = first
    loss += 1e-7 * np.random.default_rng(0).standard_normal(n)
    norm = np.ones(n)
    norm[2] = 9.0
    run = {"loss": loss, "grad_norm": norm, "lr": np.ones(n) if lr is None else lr}
    return measured(columns=run, **({"progress": {"start": 2.0, "best": 1.0, "relative": 0.5}} | others))


@pytest.mark.parametrize(("height", "expected"), [(1.05, 0.0), (1.225, 0.5), (1.4, 1.0)])
def test_an_early_rise_lasts_five_rows_of_the_first_sixteenth(height, expected):
    loss = np.ones(N)
    loss[70:75] = height
    case = opened(loss)
    assert grade("early_rise", case) == pytest.approx(expected, abs=1e-5)
    loss[70:75], loss[75:80] = 1.0, height  # behind it
    assert grade("early_rise", opened(loss)) == 0.0
    loss = np.ones(N)
    loss[70:72] = height  # two rows are none
    assert grade("early_rise", opened(loss)) == 0.0
    assert grade("early_rise", opened(loss, progress=None)) == 0.0


@pytest.mark.parametrize(
    ("top", "following", "expected"),
    [
        (1.0 + 0.15, 0.5, 0.0),
        (1.0 + 0.425, 0.5, 0.5),
        (1.0 + 0.7, 0.5, 1.0),
        (1.0 + 0.7, 1.7 / np.exp(0.7), 1.0),
        (1.0 + 0.7, 1.7 / np.exp(0.45), 0.5),
        (1.0 + 0.7, 1.7 / np.exp(0.2), 0.0),
    ],
)
def test_a_first_update_that_overshoots(top, following, expected):
    loss = np.full(N, 0.5)
    loss[:18] = 1.0  # the first 1.5 % of the rows
    loss[5] = top
    loss[300] = following
    case = opened(loss)
    assert grade("overshoots_at_once", case) == pytest.approx(expected, abs=1e-3)
    # What follows in the second half is no match.
    loss[300], loss[700] = 0.5, 9.0
    rises = {1.15: 0.0, 1.425: 0.5, 1.7: 1.0}[round(top, 3)]
    assert grade("overshoots_at_once", opened(loss)) == pytest.approx(rises, abs=1e-3)


def test_an_overshoot_is_one_of_the_first_rows():
    for row, found in ((17, True), (18, False)):
        loss = np.full(N, 0.5)
        loss[:19] = 1.0
        loss[row] = 3.0
        assert (grade("overshoots_at_once", opened(loss)) > 0.5) == found
    # In short logs one of the first ten.
    for row, found in ((9, True), (10, False)):
        loss = np.full(100, 0.5)
        loss[:11] = 1.0
        loss[row] = 3.0
        assert (grade("overshoots_at_once", opened(loss, n=100)) > 0.5) == found


@pytest.mark.parametrize(("over", "expected"), [(-0.2, 0.0), (0.05, 0.5), (0.3, 1.0)])
def test_the_highest_norm_of_the_first_rows(over, expected):
    norm = np.full(N, 0.1)
    norm[4] = np.exp(over)
    norm[300] = 1.0
    norm[700] = 50.0
    case = measured(columns={**healthy(), "grad_norm": norm})
    assert grade("early_norm_unmatched", case) == pytest.approx(expected, abs=1e-6)
    assert grade("early_norm_unmatched", measured(columns={**healthy(), "grad_norm": np.zeros(N)})) == 1.0


def test_a_rate_that_starts_at_its_peak():
    from gradlens.config import TrainingConfig

    for first, expected in ((1.0, 1.0), (0.5, 1.0), (0.4, 0.0)):
        lr = np.ones(N)
        lr[0] = first
        assert grade("starts_at_peak", opened(np.ones(N), lr=lr)) == expected
    unknown = np.full(N, np.nan)
    for steps, expected in ((0, 1.0), (1, 0.0), (None, 0.0)):
        case = opened(np.ones(N), lr=unknown, config=TrainingConfig(warmup_steps=steps))
        assert grade("starts_at_peak", case) == expected


@pytest.mark.parametrize(("norm", "expected"), [(0.8, 0.0), (1.3, 0.5), (1.8, 1.0)])
def test_a_rough_start_without_a_warm_up(norm, expected):
    case = opened(np.ones(N), norms={"start_over_rest": norm})
    assert grade("rough_start_without_warmup", case) == pytest.approx(expected)
    slow = np.linspace(0.1, 1.0, N)
    assert grade("rough_start_without_warmup", opened(np.ones(N), lr=slow, norms={"start_over_rest": norm})) == 0.0
    assert grade("overshoot_without_warmup", opened(np.ones(N), lr=slow)) == 0.0


def test_trouble_without_a_warm_up_is_the_worst_of_three():
    for change, expected in (
        ({"raised": 0.14}, 0.5),
        ({"rebound": 0.235, "rebound_rate": 1.0, "rebound_at": 0.05}, 0.5),
        ({}, 0.0),
    ):
        calm = {"start": 2.0, "best": 1.0, "relative": 0.5, "raised": 0.0, "rebound": 0.0, "in_noise": 9.0}
        case = opened(np.ones(N), progress=calm | change)
        assert grade("trouble_without_warmup", case) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "norms", "expected"),
    [
        ({"above_start": 0.5}, {}, 0.0),
        ({"above_start": 1.25}, {}, 0.5),
        ({"above_start": 2.0}, {}, 1.0),
        ({}, {"start_over_rest": 1.9}, 0.0),
        ({}, {"start_over_rest": 2.35}, 0.5),
        ({}, {"start_over_rest": 2.8}, 1.0),
        ({"above_start": 2.0}, {"late_over_early": ln(5.0)}, 0.0),  # the norms grow
    ],
)
def test_a_run_that_was_thrown_off(change, norms, expected):
    stuck = {"start": 2.0, "best": 1.0, "relative": 0.01, "above_start": 0.0, "early_low": 0.0}
    quiet = {"loss_noise": 0.001, "start_over_rest": 0.0, "late_over_early": 0.0, "blown_up": 0.0}
    case = opened(np.ones(N), progress=stuck | change, norms=quiet | norms)
    assert grade("thrown_off", case) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("blow", "expected"), [(2.2, 0.0), (np.sqrt(8.8), 0.5), (4.0, 1.0)])
def test_norms_that_were_thrown_while_the_loss_rose(blow, expected):
    stuck = {"start": 2.0, "best": 1.0, "relative": 0.01, "above_start": 0.0, "early_low": 0.0}
    quiet = {"loss_noise": 0.001, "start_over_rest": 0.0, "late_over_early": 0.0, "blown_up": ln(blow)}
    loss = np.ones(N)
    loss[4:6] = loss[300] = 2.0  # as high again later, so that it was no overshoot
    assert grade("thrown_off", opened(loss, progress=stuck, norms=quiet)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("blow", "expected"), [(4.7, 0.0), (np.sqrt(4.7 * 8.2), 0.5), (8.2, 1.0)])
def test_first_updates_that_multiply_loss_and_norm(blow, expected):
    loss = np.ones(N)
    loss[4:6] = 2.0
    assert grade("blown_up_by_updates", opened(loss, norms={"blown_up": ln(blow)})) == pytest.approx(expected, abs=1e-6)
    assert grade("blown_up_by_updates", opened(np.ones(N), norms={"blown_up": ln(blow)})) == 0.0


@pytest.mark.parametrize(("rise", "expected"), [(0.5, 0.0), (1.0, 0.5), (1.5, 1.0)])
def test_losses_of_both_signs_rise_by_parts_of_their_descent(rise, expected):
    loss = np.tile([-1.0, -0.5], N // 2)
    loss[0] = -1.0
    loss[3:5] = -1.0 + rise
    case = measured(columns={**healthy(), "loss": loss}, progress=replace(measured().progress, start=2.0, best=1.0))
    assert grade("first_loss_rise", case) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("rise", "expected"), [(0.5, 0.0), (1.0, 0.5), (1.5, 1.0)])
def test_a_loss_that_jumps_with_the_rate(rise, expected):
    case = measured()
    case.__dict__["schedule"] = replace(case.schedule, jumps=((600, 1.5),))
    value = np.zeros(N)
    value[610:625] = rise * 0.1  # fifteen rows in the twentieth that follows
    case.__dict__["loss"] = replace(case.loss, value=value, spread=np.full(N, 0.1))
    case.__dict__["norm"] = replace(case.norm, value=np.zeros(N))
    assert grade("response_to_jump", case) == pytest.approx(expected, abs=1e-6)
    value = np.zeros(N)
    value[660:] = rise * 0.1
    case.__dict__["loss"] = replace(case.loss, value=value, spread=np.full(N, 0.1))
    assert grade("response_to_jump", case) == 0.0


def test_norms_too_alike_to_be_those_of_batches():
    quiet = {"noise": 0.001, "loss_noise": 0.05}
    columns = falling()
    assert grade("norm_quiet", measured(columns=columns, norms=quiet)) == 1.0
    assert grade("norm_quieter_than_loss", measured(columns=columns, norms=quiet)) == 1.0
    for rows, expected in ((90, 0.0), (135, 0.5), (180, 1.0)):
        short = {**healthy(rows), "grad_norm": healthy(rows)["grad_norm"] * np.exp(-2.0 * np.arange(rows) / rows)}
        assert grade("norm_quiet", measured(columns=short, norms=quiet)) == pytest.approx(expected, abs=1e-6)
    # Means over an epoch are quiet in loss and norm.
    short = {name: value[:300] for name, value in columns.items()}
    for noise, expected in ((0.0049, 0.0), (0.0051, 1.0)):
        case = measured(columns=short, norms=quiet | {"loss_noise": noise}, progress={"relative": 0.5})
        assert grade("norm_quiet", case) == expected
    for verdict, averaged, expected in (
        ("pre_clip", False, 1.0),
        ("post_clip", False, 0.0),
        ("loss_scaled", False, 0.0),
        ("pre_clip", True, 0.0),
    ):
        case = measured(columns=columns, norms=quiet)
        case.__dict__["provenance"] = replace(case.provenance, verdict=verdict, averaged=averaged)
        assert grade("norm_quiet", case) == expected
        if not averaged:
            assert grade("norm_quieter_than_loss", case) == expected
            assert (
                grade("norm_fades_smoothly", measured(columns=columns, norms=quiet | {"fade": 1.0, "smoothness": 1.0}))
                == 1.0
            )


def test_limits_are_printed_as_they_are_applied():
    from gradlens.diagnosis.signs.base import Ramp, log_share, percent, share, times

    assert str(share(0.75, 0.4)) == "75 to 40 %"
    assert str(times(2.5, 30.0)) == "2.5 to 30"
    assert str(log_share(0.05, 0.015)) == "5 to 1.5 %"
    assert str(Ramp(3.0, 4.5, "log10")) == "1,000 to 31,600"
    assert str(Ramp(5.7, 8.6)) == "5.7 to 8.6"
    assert percent(0.35) == "35 %"
    assert [times(2.0, 8.0)(ln(v)) for v in (2.0, 4.0, 8.0)] == pytest.approx([0.0, 0.5, 1.0])
    assert (share(0.2, 0.1)(None), share(0.2, 0.1)(float("nan"))) == (0.0, 0.0)


def test_only_signs_of_few_rows_are_graded_in_few_rows():
    assert {name for name, sign in {**SIGNS, **PARTS}.items() if sign.any_length} == {
        "shock_in_few_rows", "diverges_in_few_rows", "steps_back", "scale_collapses", "zeros_after_nan", "ends_nonfinite",
    }  # fmt: skip


@pytest.mark.parametrize(("unit", "norm", "expected"), [(3.0, 40.0, 0.5), (0.1, 60.0, 1.0), (7.0, 20.0, 0.0)])
def test_shocks_and_divergences_have_no_unit(unit, norm, expected):
    columns = {"loss": np.full(20, unit), "grad_norm": np.full(20, unit)}
    columns["grad_norm"][10] *= norm
    columns["loss"][11] *= 1.3
    assert grade("shock_in_few_rows", make(columns, threshold=None)) == pytest.approx(expected)
    # Norms before it that were as high: the run settles.
    settles = np.where(np.arange(20) < 10, unit * norm, columns["grad_norm"])
    assert grade("shock_in_few_rows", make({**columns, "grad_norm": settles}, threshold=None)) == 0.0


@pytest.mark.parametrize(("last", "expected"), [(0.7, 0.0), (np.sqrt(0.63), 0.5), (0.9, 1.0), (1.5, 1.0)])
@pytest.mark.parametrize("unit", [1.0, 5.0])
def test_a_divergence_that_was_regained(unit, last, expected):
    loss = unit * np.array([1.0, 0.3, 0.301, 0.3, 0.301, 2.0, 2.0, 2.0, 0.3, 0.3, last])
    assert grade("diverges_in_few_rows", make({"loss": loss})) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("rows", "dense"), [(600, False), (601, True)])
def test_a_column_that_half_of_the_rows_have_is_not_dense(rows, dense):
    from gradlens.run import Series

    case = measured(recorded={"lag_drop": 0.0})
    series = Series(name="rms_ratio", step=np.arange(rows), value=np.ones(rows))
    case.run = replace(case.run, series={**case.run.series, "rms_ratio": series})
    assert grade("second_moment_keeps_up", case) == float(dense)
