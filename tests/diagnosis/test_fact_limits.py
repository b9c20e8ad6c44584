"""Facts, outcome and verdict at their limits: what is said just beyond one and not just before it."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gradlens.config import TrainingConfig
from gradlens.diagnosis.facts import (
    clipping,
    course,
    dead,
    early_floor,
    epochs,
    explosion,
    layers,
    nonfinite,
    rate,
    restart,
    small_events,
    validation,
    words,
)
from gradlens.diagnosis.facts.base import Fact
from gradlens.diagnosis.outcome import outcome_of
from gradlens.diagnosis.ranking import confidence_of, experiment, named_cause
from gradlens.diagnosis.status import why_insufficient
from gradlens.reports.base import Severity
from gradlens.run import Notice
from tests.diagnosis.test_sign_limits import EVENT, measured
from tests.synthetic import N, healthy, make


def told(finder, case):
    return [(f.code, f.severity.value, f.cause) for f in finder(case)]


# --- the rate


def with_rate(lr, **others):
    return make({**short(len(lr)), "lr": np.asarray(lr, dtype=float)}, threshold=5.0, **others)


def short(rows):
    """A healthy run of any number of rows."""
    return {name: value[:rows] for name, value in healthy(max(rows, 24)).items()}


def cosine(n, floor=0.0):
    return floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * np.arange(n) / max(n - 1, 1)))


@pytest.mark.parametrize(
    ("rows", "zeros", "cause"),
    [
        (100, 9, None),
        (100, 10, "lr_zero"),
        (90, 9, None),
        (90, 10, "lr_zero"),
        (1000, 99, None),
        (1000, 101, "lr_zero"),
    ],
)
def test_a_rate_of_zero_for_a_tenth_of_the_rows_at_the_end(rows, zeros, cause):
    lr = np.ones(rows)
    lr[rows - zeros :] = 0.0
    found = rate.find(with_rate(lr))
    assert [f.cause for f in found] == ([cause] if cause else [])
    if cause:
        (fact,) = found
        assert (fact.severity, fact.steps) == (Severity.WARNING, (rows - zeros,))
        assert f"for {zeros} rows" in fact.message


@pytest.mark.parametrize(("last", "cause"), [(0.1, "schedule_mismatch"), (0.11, "lr_zero")])
def test_a_rate_that_had_decayed_to_a_tenth_ended_too_early(last, cause):
    lr = np.concatenate((np.linspace(1.0, last, 60), np.zeros(40)))
    assert [f.cause for f in rate.find(with_rate(lr))] == [cause]


def test_a_rate_that_was_zero_from_nearly_the_start_took_no_step():
    for first, out in ((9, True), (11, False)):
        lr = np.zeros(100)
        lr[:first] = 1.0
        (fact,) = rate.find(with_rate(lr))
        assert ("lr_too_high" in fact.rules_out) == out


def test_a_rate_of_zero_throughout():
    run = healthy(200)
    flat = {**run, "loss": np.full(200, 2.0) * np.exp(0.01 * np.random.default_rng(0).standard_normal(200))}
    (fact,) = rate.find(make({**flat, "lr": np.zeros(200)}, threshold=None))
    assert (fact.severity, fact.cause, fact.outcome, fact.since_step) == (Severity.ERROR, "lr_zero", "not_learning", 0)
    (fact,) = rate.find(make({**run, "lr": np.zeros(200)}, threshold=None))
    assert (fact.severity, fact.cause, fact.outcome) == (Severity.NOTE, None, None)
    assert rate.find(with_rate(np.zeros(9))) == ()
    assert len(rate.find(with_rate(np.zeros(10)))) == 1
    assert rate.find(with_rate(np.full(100, -1.0))) == ()


@pytest.mark.parametrize(("floor", "wraps"), [(0.0, True), (0.06, True), (0.061, False)])
def test_a_cosine_that_turns_wraps_round(floor, wraps):
    lr = np.concatenate((cosine(100, floor), cosine(100, floor)[::-1]))
    assert [f.cause for f in rate.find(with_rate(lr))] == (["schedule_mismatch"] if wraps else [])


@pytest.mark.parametrize(("rise", "wraps"), [(8, False), (40, True)])
def test_a_restart_within_a_few_rows_is_meant(rise, wraps):
    # A fall over a hundred rows, of which the part from three tenths down is some 37: a fifth of it and eight rows are the least.
    lr = np.concatenate((cosine(100), np.linspace(0.0, 1.0, rise), np.ones(20)))
    assert bool(rate.find(with_rate(lr))) == wraps


@pytest.mark.parametrize(("back", "wraps"), [(0.29, False), (0.31, True)])
def test_a_rise_to_less_than_three_tenths_is_none(back, wraps):
    lr = np.concatenate((cosine(100), back * cosine(60)[::-1]))
    assert bool(rate.find(with_rate(lr))) == wraps


@pytest.mark.parametrize(
    ("floor", "tail", "early"), [(0.06, 50, True), (0.061, 50, False), (0.05, 42, True), (0.05, 41, False)]
)
def test_a_decay_that_ended_before_three_tenths_of_the_rows(floor, tail, early):
    lr = np.concatenate((np.linspace(1.0, floor, 100), np.full(tail, floor)))
    assert [f.cause for f in rate.find(with_rate(lr))] == (["schedule_mismatch"] if early else [])


@pytest.mark.parametrize(("steps", "early"), [(7, False), (9, True)])
def test_decays_by_few_steps_are_planned(steps, early):
    lr = np.concatenate((np.ones(40), np.linspace(1.0, 0.05, steps + 1)[1:], np.full(60, 0.05)))
    assert bool(rate.find(with_rate(lr))) == early
    # One row that makes more than a third of the decay is a step.
    lr = np.concatenate((np.ones(40), np.linspace(1.0, 0.65, 10), np.linspace(0.3, 0.05, 10), np.full(60, 0.05)))
    assert rate.find(with_rate(lr)) == ()


@pytest.mark.parametrize(("rows", "told_of"), [(99, False), (100, True)])
def test_a_warm_up_to_the_end_needs_a_hundred_rows(rows, told_of):
    assert bool(rate.find(with_rate(np.linspace(0.1, 1.0, rows)))) == told_of
    assert rate.find(with_rate(np.linspace(0.5, 1.0, rows))) == ()  # it only doubles
    assert bool(rate.find(with_rate(np.linspace(0.49, 1.0, rows)))) == told_of


@pytest.mark.parametrize(("top", "told_of"), [(79, False), (80, True)])
def test_a_warm_up_over_four_fifths_of_the_run(top, told_of):
    lr = np.concatenate((np.linspace(0.1, 1.0, top + 1), np.full(100 - top, 0.9)))
    found = rate.find(with_rate(lr))
    assert bool(found) == told_of
    if told_of:
        assert "the warm-up takes 80% of the run" in found[0].message.replace(" %", "%")
        assert found[0].steps == (80,)


# --- nothing that moves


@pytest.mark.parametrize(("zeros", "found"), [(4, None), (5, 15), (19, 1), (20, None)])
def test_five_zeros_at_the_end_are_a_tail(zeros, found):
    value = np.ones(20)
    value[20 - zeros :] = 0.0
    assert dead.tail_of_zeros(value) == found


def test_a_loss_that_falls_to_zero_from_one_row_to_the_next():
    for level, told_of in ((0.03, True), (0.019, False)):
        loss = np.concatenate((np.linspace(1.0, level, 100), np.full(30, level), np.zeros(10)))
        found = dead.find(make({"loss": loss, "grad_norm": np.ones(140)}, threshold=None))
        assert [f.since_step for f in found] == ([130] if told_of else [])
    # One that was 0 on the way comes down by itself.
    loss = np.concatenate((np.full(100, 1.0), [0.0], np.ones(15), np.zeros(10)))
    assert dead.find(make({"loss": loss, "grad_norm": np.ones(126)}, threshold=None)) == ()


@pytest.mark.parametrize(("rows", "found"), [(9, False), (10, True)])
def test_ten_rows_that_stand_still(rows, found):
    still = {"loss": np.full(rows, 2.3), "grad_norm": np.ones(rows)}
    assert bool(dead.find(make(still, threshold=None))) == found
    zero = {"loss": np.full(rows, 2.3), "grad_norm": np.zeros(rows)}
    assert bool(dead.find(make(zero, threshold=None))) == found
    if found:
        assert "the constant 2.3 in all 10 rows" in dead.find(make(still, threshold=None))[0].message
        assert "is 2.3 to the last digit" in dead.find(make(zero, threshold=None))[0].message


@pytest.mark.parametrize(("norm", "cause"), [(0.9e-6, "vanishing"), (1.1e-6, "not_learning")])
def test_norms_a_millionth_of_the_loss_vanish(norm, cause):
    still = {"loss": np.full(50, 1.0), "grad_norm": np.full(50, norm)}
    (fact,) = dead.find(make(still, threshold=None))
    assert fact.cause == cause
    assert ("vanishing" in fact.rules_out) == (cause != "vanishing")


@pytest.mark.parametrize(("kept", "out"), [(0.5, True), (0.49, False)])
def test_gradients_that_end_after_what_was_learned_was_lost(kept, out):
    run = healthy(300)
    run["grad_norm"][250:] = 0.0
    run["loss"] = np.where(np.arange(300) >= 250, 2.0, run["loss"])
    case = measured(columns=run, progress={"kept": kept})
    (fact,) = dead.find(case)
    assert ("lr_too_high" in fact.rules_out) == out


# --- clipping


@pytest.mark.parametrize(
    ("reach", "word"),
    [
        (0.05, None),
        (0.051, "1 step in 20"),
        (0.10, "1 step in 20"),
        (0.101, "1 step in 10"),
        (0.20, "1 step in 10"),
        (0.201, "1 step in 5"),
    ],
)
def test_how_often_is_often(reach, word):
    found = clipping.find(measured(clipped={"reach": reach}))
    assert bool(found) == (word is not None)
    if word:
        assert word in found[0].message


@pytest.mark.parametrize(("share", "harmless"), [(0.5, False), (0.51, True)])
def test_clipping_under_adam_is_part_of_the_optimizer(share, harmless):
    config = TrainingConfig(optimizer="adamw")
    (fact,) = clipping.find(measured(clipped={"reach": 0.6, "rate": share}, config=config))
    assert ("clip_too_tight" in fact.rules_out) == harmless
    (fact,) = clipping.find(measured(clipped={"reach": 0.6, "rate": share}, config=TrainingConfig(optimizer="sgd")))
    assert not fact.rules_out


def test_twenty_norms_are_needed_to_tell_one_in_twenty():
    for n, given in ((19, False), (20, True)):
        run = healthy(100)
        run["grad_norm"] = np.where(np.arange(100) < n, 0.5, np.nan)
        run["grad_norm"][0] = 9.0
        assert bool(clipping.find(measured(columns=run, clipped=SimpleNamespace(reach=0.3, rate=0.1)))) == given


@pytest.mark.parametrize(
    ("peak", "descent", "held"),
    [(2e-3, 0.5, False), (2.1e-3, 0.5, True), (2e-3, 0.1, False), (2e-3, 0.09, True), (0.0, 0.5, True)],
)
def test_a_fast_descent_at_a_small_rate_is_not_held_back(peak, descent, held):
    run = healthy()
    run["lr"] = np.full(N, peak)
    case = measured(columns=run, progress={"relative": descent})
    case.threshold = 0.1
    assert clipping.holds_back(case) == held


# --- validation


def validated(values, train=None):
    n = len(values)
    run = {
        "loss": np.linspace(2.0, 1.0, n) if train is None else train,
        "grad_norm": np.ones(n),
        "val_loss": np.asarray(values, dtype=float),
    }
    return make(run, threshold=None)


@pytest.mark.parametrize(("rise", "severity"), [(1.029, None), (1.031, "note"), (1.099, "note"), (1.101, "warning")])
def test_how_much_worse_a_validation_loss_ends(rise, severity):
    values = np.concatenate((np.linspace(2.0, 1.0, 10), np.linspace(1.0, rise, 8), [rise] * 4))
    assert [f.severity.value for f in validation.find(validated(values))] == ([severity] if severity else [])


def test_a_rise_of_less_than_a_fiftieth_of_the_fall_is_a_note():
    for first, severity in ((6.0, "warning"), (12.5, "note")):
        values = np.concatenate((np.linspace(first, 1.0, 10), np.linspace(1.0, 1.2, 8), [1.2] * 4))
        assert [f.severity.value for f in validation.find(validated(values))] == [severity]


@pytest.mark.parametrize(("after", "found"), [(3, False), (4, True)])
def test_a_quarter_of_the_evaluations_comes_after_the_best(after, found):
    values = np.concatenate((np.linspace(2.0, 1.0, 12), np.full(after, 1.5)))
    assert bool(validation.find(validated(values))) == found
    assert validation.find(validated(np.array([1.0, 1.5, 1.5, 1.5, 1.5]))) == ()
    assert len(validation.find(validated(np.array([1.2, 1.0, 1.5, 1.5, 1.5, 1.5])))) == 1


def test_a_training_loss_that_rises_too_is_something_else():
    values = np.concatenate((np.linspace(2.0, 1.0, 10), np.linspace(1.0, 1.5, 20)))
    rising = np.concatenate((np.linspace(2.0, 1.0, 10), np.linspace(1.0, 2.0, 20)))
    assert validation.find(validated(values, rising)) == ()
    assert len(validation.find(validated(values))) == 1
    assert validation.find(validated(np.concatenate((values[:-1], [0.0])))) == ()


# --- epochs, small events, an early floor


@pytest.mark.parametrize(
    ("column", "counts"),
    [("epoch", True), ("Epochs", True), ("train/epoch", True), ("epochal", False), ("step", False), (None, False)],
)
def test_rows_of_epochs_by_the_name_of_their_column(column, counts):
    case = measured()
    case.run = replace(case.run, columns=replace(case.run.columns, step=column))
    assert epochs.counts_epochs(case) == counts
    assert bool(epochs.find(case)) == counts


@pytest.mark.parametrize(("rebound", "kept", "out"), [(0.1, 0.9, True), (0.101, 0.9, False), (0.1, 0.899, False)])
def test_means_of_epochs_that_fall_show_no_high_rate(rebound, kept, out):
    case = measured(progress={"rebound": rebound, "kept": kept})
    case.run = replace(case.run, columns=replace(case.run.columns, step="epoch"))
    assert ("lr_too_high" in epochs.find(case)[0].rules_out) == out


@pytest.mark.parametrize(("norm", "loss", "little"), [(1.29, 1.09, True), (1.31, 1.09, False), (1.29, 1.11, False)])
def test_rows_that_stand_out_by_little(norm, loss, little):
    case = measured(events=(replace(EVENT, norm_ratio=norm),))
    value = case.loss.level.copy()
    value[600] += np.log(loss)
    case.__dict__["loss"] = replace(case.loss, value=value)
    found = [fact for fact in small_events.find(case) if "by little" in fact.message]
    assert bool(found) == little
    if little:
        assert "the loss by at most 9.0 %, the norm by at most 29 %" in found[0].message
        assert found[0].steps == (600,)


#: A loss that reached its floor in the first tenth.
FLOOR = {"start": 4.0, "end": 1.0, "kept": 0.9, "rebound": 0.12, "after_first_tenth": 0.1}


@pytest.mark.parametrize(
    ("change", "noise", "floor"),
    [
        ({}, 0.035, True),
        ({"end": 1.01}, 0.035, False),
        ({"kept": 0.89}, 0.035, False),
        ({"rebound": 0.121}, 0.035, False),
        ({"after_first_tenth": 0.101}, 0.035, False),
        ({}, 0.034, False),
    ],
)
def test_a_floor_that_is_reached_early(change, noise, floor):
    found = early_floor.find(measured(progress=FLOOR | change, norms={"loss_noise": noise}))
    assert bool(found) == floor
    if floor:
        assert "fine-tuned" in found[0].message  # 4 is no ln K of a usual K
        guess = early_floor.find(measured(progress=FLOOR | {"start": np.log(100)}, norms={"loss_noise": noise}))
        assert guess == () or "fine-tuned" not in guess[0].message


@pytest.mark.parametrize(
    ("loss", "classes"),
    [(np.log(10) * 1.004, 10), (np.log(10) * 1.006, None), (np.log(2), 2), (np.log(50_257), 50_257)],
)
def test_what_guessing_gives(loss, classes):
    assert course.guessed_classes(loss, 0.005) == classes


# --- the end of the loss


@pytest.mark.parametrize(
    ("end", "explosion_", "code"),
    [(10.0, math.log(2.5), "diverged"), (9.9, math.log(2.5), None), (10.0, math.log(2.49), None)],
)
def test_two_and_a_half_times_the_start_is_a_divergence(end, explosion_, code):
    columns = healthy()
    columns["loss"] = columns["loss"] + 6.0 * (np.arange(N) >= N // 2)
    case = measured(columns=columns, progress={"start": 4.0, "end": end, "explosion": explosion_, "kept": 1.0})
    assert [f.outcome for f in course.find(case) if f.outcome == "diverged"] == ([code] if code else [])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, True),
        ({"kept": 0.85}, False),
        ({"end": 1.69}, False),
        ({"in_noise": 6.0}, False),
        ({"rebound": 0.15}, False),
    ],
)
def test_a_level_of_nearly_twice_the_lowest_is_an_end_that_is_worse(change, found, monkeypatch):
    monkeypatch.setattr(course, "_rise", lambda _: (500, 0.5))
    case = measured(
        progress={"start": 4.0, "best": 1.0, "end": 1.71, "kept": 0.84, "in_noise": 6.1, "rebound": 0.16} | change
    )
    assert [f.outcome for f in course.find(case)] == (["ended_worse"] if found else [])
    monkeypatch.setattr(course, "_rise", lambda _: (500, 0.19))
    assert course.find(case) == ()


def test_half_of_the_descent_lost_is_an_end_that_is_worse():
    # 57.5 % kept is half of the way from 75 to 40.
    for kept, found in ((0.575, True), (0.58, False)):
        assert bool(course.find(measured(progress={"kept": kept, "in_noise": 6.1}))) == found
        assert course.find(measured(progress={"kept": kept, "in_noise": 6.0})) == ()


# --- what is not finite


def ends_in_nan(loss, norm, at):
    run = {
        "loss": np.array(loss, dtype=float),
        "grad_norm": np.array(norm, dtype=float),
        "lr": np.full(len(loss), 1e-3),
    }
    for name in ("loss", "grad_norm"):
        run[name][at:] = np.nan
    return make(run, threshold=None)


@pytest.mark.parametrize(("times", "grew"), [(2.9, False), (3.1, True)])
def test_norms_three_times_their_level_grew(times, grew):
    norm = np.ones(120)
    norm[95:100] = times
    case = ends_in_nan(np.ones(120), norm, 100)
    assert (nonfinite.growth_before(case, 100) is not None) == grew
    (fact,) = nonfinite.find(case)
    assert (fact.cause == "nan_sudden") == (not grew)
    assert fact.since_step == 100


@pytest.mark.parametrize(("times", "grew"), [(1.4, False), (1.6, True)])
def test_losses_one_and_a_half_times_their_level_grew(times, grew):
    loss = np.ones(120)
    loss[95:100] = times
    assert (nonfinite.growth_before(ends_in_nan(loss, np.ones(120), 100), 100) is not None) == grew


@pytest.mark.parametrize(("last", "grew"), [(6.0, False), (6.1, True)])
def test_of_four_rows_the_last_against_the_first_counts(last, grew):
    case = ends_in_nan(np.ones(40), np.concatenate(([1.0, 1.0, 1.0, last], np.ones(36))), 4)
    assert (nonfinite.growth_before(case, 4) is not None) == grew


@pytest.mark.parametrize(
    ("bad", "rows", "found"), [(2, 50, False), (3, 50, True), (3, 151, False), (4, 200, True), (3, 150, True)]
)
def test_three_nan_losses_of_a_hundred_and_fifty(bad, rows, found):
    run = healthy(rows)
    run["loss"][5 : 5 + 2 * bad : 2] = np.nan
    facts = nonfinite.find(make(run, threshold=None))
    assert bool(facts) == found
    if found:
        assert facts[0].message.startswith(f"{bad} of {rows} losses are NaN or infinite")
        assert facts[0].severity == Severity.WARNING


@pytest.mark.parametrize(("step", "cause"), [(0, "nan_sudden"), (1, "nan_sudden"), (2, None)])
def test_a_first_row_that_is_not_finite_precedes_all_updates(step, cause):
    run = {"loss": np.full(30, np.nan), "grad_norm": np.full(30, np.nan)}
    (fact,) = nonfinite.find(make(run, step=np.arange(30) + step, threshold=None))
    assert (fact.cause, fact.since_step) == (cause, step)
    assert "every loss and every norm is NaN" in fact.message


def test_norms_that_are_never_finite_are_a_warning():
    run = healthy(100)
    run["grad_norm"][:] = np.inf
    (fact,) = nonfinite.find(make(run, threshold=None))
    assert (fact.severity, fact.cause) == (Severity.WARNING, "unknown")
    assert "every gradient norm is infinite in all 100 rows" in fact.message


@pytest.mark.parametrize(("norm", "thrown"), [(3.1e3, False), (3.2e3, True)])
def test_an_update_that_throws_the_weights(norm, thrown):
    # 1e-3 times the square of the norm is ten thousand times a loss of one from a norm of 3,162 on.
    case = ends_in_nan(np.ones(30), np.full(30, norm), 2)
    assert (nonfinite.thrown_before(case, 2) is not None) == thrown
    assert nonfinite.thrown_before(ends_in_nan(np.ones(30), np.full(30, norm), 8), 8) is None


# --- layers


def layered(norms, rows=60):
    run = healthy(rows)
    return make(run, layers={f"grad_norm/layer{i}": np.full(rows, v) for i, v in enumerate(norms)}, threshold=None)


@pytest.mark.parametrize(
    ("norms", "found"),
    [
        (10.0 ** np.linspace(0, 2, 5), "shrink"),
        (10.0 ** -np.linspace(0, 2, 5), "grow"),
        (10.0 ** np.linspace(0, 1.99, 5), None),
        (10.0 ** np.linspace(0, 2, 4), None),
        (10.0 ** np.array([0, 2, 1, 3, 2.5, 4.0]), None),  # three of five steps
        (10.0 ** np.array([0, 1, 0.5, 2, 3, 4.0]), "shrink"),  # four of five
    ],
)
def test_norms_from_layer_to_layer(norms, found):
    facts = layers.find(layered(norms))
    assert [f.code for f in facts] == (["GL512"] if found else [])
    if found:
        assert f"the norms {found} by" in facts[0].message


@pytest.mark.parametrize(
    ("norms", "found"), [([0, 0, 0, 0, 1.0], True), ([0, 0, 0, 1.0], False), ([0, 0, 0, 0, 1.0, 1.0, 1.0], False)]
)
def test_layers_without_a_gradient(norms, found):
    assert [f.cause for f in layers.find(layered(norms))] == (["vanishing"] if found else [])


def test_the_layer_that_goes_first():
    def going(top):
        first, later = np.ones(120), np.ones(120)
        first[90:100] = np.geomspace(1.5, top, 10)
        first[100:] = np.nan
        later[104:] = np.nan
        return make(healthy(120), layers={"grad_norm/a": first, "grad_norm/b": later}, threshold=None)

    (fact,) = layers.find(going(6.0))
    assert (fact.cause, fact.since_step, fact.steps) == ("exploding", 100, (90, 100))
    assert "the others follow at step 104" in fact.message
    (fact,) = layers.find(going(4.9))
    assert (fact.cause, fact.steps) == (None, (100,))


# --- losses whose course means nothing


def agent(loss, norm=None):
    return make({"loss": loss, "grad_norm": np.ones(len(loss)) if norm is None else norm}, threshold=None)


@pytest.mark.parametrize(("times", "found"), [(99.0, False), (101.0, True)])
def test_a_hundred_times_its_size_is_an_explosion(times, found):
    loss = np.where(np.arange(60) % 2, 1.0, 0.99)
    loss[55:] = times * (1.0 + 1e-6 * np.arange(5))
    case = agent(loss)
    case.__dict__["loss_descends"] = False
    facts = explosion.find(case)
    assert bool(facts) == found
    if found:
        assert (facts[0].outcome, facts[0].since_step) == ("diverged", 55)
    case.__dict__["loss_descends"] = True
    assert explosion.find(case) == ()


@pytest.mark.parametrize(("times", "found"), [(4.9, False), (5.1, True)])
def test_five_times_its_level_is_a_norm_that_grew(times, found):
    norm = np.ones(100)
    norm[60:] = times
    case = agent(np.ones(100), norm)
    case.__dict__["loss_descends"] = False
    assert [f.steps for f in explosion.find(case)] == ([(60,)] if found else [])


# --- words and restarts


def noticed(*notices):
    return make(healthy(), notices=notices, threshold=5.0)


def scale(highest, last):
    return Notice(code="loss-scale-lines", message="the loss scale", count=9, values={"highest": highest, "last": last})


@pytest.mark.parametrize(
    ("highest", "last", "severity"),
    [
        (4096.0, 15.9, "warning"),
        (4096.0, 16.0, None),
        (2048.0, 8.1, None),
        (2048.0, 8.0, "warning"),
        (65536.0, 0.9, "error"),
        (65536.0, 1.0, "warning"),
    ],
)
def test_a_loss_scale_that_collapses_by_the_words_of_the_log(highest, last, severity):
    found = words.find(noticed(scale(highest, last)))
    assert [f.severity.value for f in found] == ([severity] if severity else [])


def test_a_last_line_about_the_scale_is_a_collapse():
    fatal = Notice(code="fatal-line", message="Minimum loss scale reached")
    (fact,) = words.find(noticed(scale(2.0, 1.0), fatal))
    assert (fact.severity, fact.cause) == (Severity.ERROR, "loss_scale_collapse")
    (fact,) = words.find(noticed(Notice(code="fatal-line", message="gave up")))
    assert (fact.code, fact.cause) == ("GL407", None)


@pytest.mark.parametrize(
    ("lines", "rows", "found"), [(9, 100, False), (10, 100, True), (59, 1200, False), (60, 1200, True)]
)
def test_overflows_in_one_step_of_twenty(lines, rows, found):
    case = make(healthy(rows), notices=[Notice(code="overflow-lines", message="overflow", count=lines)], threshold=5.0)
    assert [f.cause for f in words.find(case)] == (["fp16_overflow"] if found else [])


@pytest.mark.parametrize(("jump", "damaged"), [(1.0, False), (1.5, True)])
def test_a_loss_that_jumps_at_a_resume(jump, damaged):
    step = np.concatenate([np.arange(700), np.arange(620, 1120)])
    run = {name: value[step] for name, value in healthy().items()}
    run["loss"][700:] *= jump
    (fact,) = restart.find(make(run, step=step, threshold=5.0))
    assert (fact.severity == Severity.WARNING) == damaged
    assert (fact.cause == "resume_artifact") == damaged


@pytest.mark.parametrize(("factor", "damaged"), [(1.01, False), (1.03, True)])
def test_a_rate_that_a_resume_did_not_restore(factor, damaged):
    run = healthy()
    step = np.concatenate([np.arange(700), np.arange(620, 1120)])
    run = {name: value[step] for name, value in run.items()}
    run["lr"] = np.where(np.arange(N) < 700, 1e-3, factor * 1e-3)
    (fact,) = restart.find(make(run, step=step, threshold=5.0))
    assert ("the learning rate of the repeated steps differs" in fact.message) == damaged


# --- outcome and verdict


def fact(outcome=None, since=None, **others):
    return Fact(
        code="GL999", severity=Severity.ERROR, message="m", advice="a", outcome=outcome, since_step=since, **others
    )


def test_which_outcome_counts():
    case = measured()
    facts = [
        fact("stalled", 1),
        fact("diverged", 2),
        fact("nonfinite", 3),
        fact("nonfinite", 4),
        fact("ended_worse", 5),
    ]
    assert outcome_of(case, facts) == outcome_of(case, facts[2:3])
    assert (outcome_of(case, facts).word, outcome_of(case, facts).since_step) == ("nonfinite", 3)
    assert outcome_of(case, [facts[0], facts[4]]).word == "ended_worse"
    assert outcome_of(case, [fact("not_learning"), facts[1]]).word == "not_learning"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "learned"),
        ({"kept": 0.6}, "learned"),
        ({"kept": 0.59}, "ended_worse"),
        ({"in_noise": 1.5}, "learned"),
        ({"in_noise": 1.49, "plainly_fell": False}, "stalled"),
        ({"relative": 0.02}, "learned"),
        ({"relative": 0.019, "plainly_fell": False}, "stalled"),
        ({"explosion": math.log(2.51), "start": 1.0, "end": 1.1}, "diverged"),
        ({"explosion": math.log(2.49), "start": 1.0, "end": 1.1}, "learned"),
        ({"explosion": math.log(2.51), "start": 1.0, "end": 1.0}, "learned"),
    ],
)
def test_what_the_course_of_the_loss_shows(change, word):
    assert outcome_of(measured(progress={"kept": 1.0} | change), []).word == word


def test_an_end_in_nan_is_dated_and_a_missing_course_unknown():
    found = outcome_of(measured(numerics={"dead_from": 700}), [])
    assert (found.word, found.since_step) == ("nonfinite", 700)
    assert outcome_of(measured(progress=None), []).word == "unknown"


@pytest.mark.parametrize(
    ("rows", "every", "why"),
    [
        (200, 1, ""),
        (199, 1, "199 rows, at least 200 are needed"),
        (400, 10, ""),
        (399, 10, "399 rows, one every 10 steps: at least 400 such rows are needed"),
        (399, 1, ""),
        (1, 1, "1 row, at least 200 are needed"),
    ],
)
def test_how_many_rows_a_clear_verdict_needs(rows, every, why):
    assert why_insufficient(make(short(rows), step=every * np.arange(rows), threshold=5.0)) == why


def test_the_shorter_of_loss_and_norm_counts():
    run = healthy(500)
    run["grad_norm"][199:] = np.nan
    assert why_insufficient(make(run, threshold=5.0)).startswith("199 rows")
    assert (
        why_insufficient(make({"loss": np.full(500, np.nan), "grad_norm": np.full(500, np.nan)}))
        == "no finite loss or norm"
    )
    assert "hardly moves" in why_insufficient(measured(progress={"in_noise": 1.0, "plainly_fell": False}))
    assert why_insufficient(measured(progress=None)) == "the course of this loss says nothing about progress"


def test_the_word_of_a_verdict():
    case = SimpleNamespace(cause="healthy")
    assert named_cause(case, "clear") == "healthy"
    assert named_cause(case, "insufficient") == "undetermined"
    assert named_cause(case, "problem") == "unknown"
    assert named_cause(SimpleNamespace(cause="bad_data"), "problem") == "bad_data"


def sure(healthy_share, *facts, cause="bad_data"):
    first = "healthy" if healthy_share > 0.5 else cause
    beliefs = SimpleNamespace(of=lambda cause: healthy_share if cause == "healthy" else 0.0, cause=first)
    return SimpleNamespace(facts=facts, beliefs=beliefs, nameless=None, cause=cause)


def test_how_sure_a_named_cause_is():
    assert confidence_of(sure(0.3), "bad_data", 0.6) == 0.6
    assert confidence_of(sure(0.3), "unknown", None) == 0.3
    proof = fact(cause="bad_data", confidence=0.8)
    assert confidence_of(sure(0.3, proof), "bad_data", 0.6) == 0.8
    assert confidence_of(sure(0.3, proof), "bad_data", 0.9) == 0.9
    assert confidence_of(sure(0.3, proof), "bad_data", None) == 0.8
    # A fact shows the problem, and the weighing none.
    assert confidence_of(sure(0.8), "bad_data", 0.1) == 0.5
    assert confidence_of(sure(0.8), "bad_data", 0.6) == 0.6
    assert confidence_of(sure(0.8), "exploding", 0.1) == 0.1
    assert confidence_of(sure(0.8, cause="healthy"), "healthy", None) == 0.8
    # What remains open, at most a half.
    assert confidence_of(sure(0.8), "undetermined", None) == pytest.approx(0.2)
    assert confidence_of(sure(0.3), "undetermined", None) == 0.5


def test_an_experiment_tells_the_first_two_apart():
    assert (
        experiment("bad_data", "healthy")
        == experiment("healthy", "bad_data")
        == "replay the listed batches from the checkpoint before them"
    )
    assert "beta2 = 0.95" in experiment("bad_data", "adam_beta2_lag")
    assert experiment("bad_data", "adam_beta2_lag") == experiment("adam_beta2_lag", "bad_data")
    # Of two that no experiment is known for the first one is confirmed.
    assert experiment("lr_zero", "overfitting") == "print the rate of the optimizer's groups at the first steps"


@pytest.mark.parametrize(
    "classes",
    [
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        20,
        50,
        100,
        200,
        256,
        365,
        1000,
        10_000,
        21_841,
        30_522,
        32_000,
        50_257,
        50_304,
        128_256,
    ],
)
def test_usual_numbers_of_classes(classes):
    assert course.guessed_classes(math.log(classes), 1e-8) == classes
    assert course.guessed_classes(math.log(classes + 0.4), 1e-8) is None


@pytest.mark.parametrize(("before", "after", "told_of"), [(3, 24, True), (2, 24, False), (3, 23, False)])
def test_a_climb_needs_three_rows_before_and_three_for_each_of_eight_levels(before, after, told_of):
    value = np.concatenate((np.full(2 * before, 2.0), np.linspace(2.0, 8.0, after)))
    times, order = course._climb(value, 2 * before)
    assert (times, order) == ((pytest.approx(3.87, abs=0.1), pytest.approx(1.0)) if told_of else (0.0, 0.0))
    assert course._climb(-value, 2 * before) == (0.0, 0.0)


def test_the_order_of_a_climb_is_that_of_its_levels():
    falling = np.concatenate((np.ones(20), np.repeat([8.0, 7, 6, 5, 4, 3, 2, 1], 5)))
    assert course._climb(falling, 20) == (1.0, pytest.approx(-1.0))
    swapped = np.concatenate((np.ones(20), np.repeat([2.0, 1, 3, 4, 5, 6, 8, 7], 5)))
    assert course._climb(swapped, 20) == (7.0, pytest.approx(1 - 6 * 4 / (8 * 63)))


def noisy(level, noise, rows=800, seed=0):
    rng = np.random.default_rng(seed)
    return make(
        {"loss": level + noise * rng.standard_normal(rows), "grad_norm": np.exp(0.3 * rng.standard_normal(rows))},
        threshold=None,
    )


@pytest.mark.parametrize(
    ("level", "noise", "rows", "found"),
    [
        (math.log(2), 0.02, 800, True),
        (math.log(2), 0.02, 199, False),
        (math.log(2), 0.02, 220, True),
        (math.log(2) * 1.02, 0.02, 800, True),
        (math.log(2) * 1.05, 0.02, 800, False),
        (math.log(2) * 0.98, 0.02, 800, False),
        (math.log(2), 0.30, 800, False),  # too noisy to tell
    ],
)
def test_a_noisy_loss_at_ln_2(level, noise, rows, found):
    case = noisy(level, noise, rows)
    case.__dict__["progress"] = replace(measured().progress, start=level)
    assert (course._at_noisy_chance(case, case.progress) is not None) == found
    below = replace(case.progress, start=0.99 * math.log(2))
    assert course._at_noisy_chance(case, below) is None


def test_where_a_loss_rose_for_good():
    loss = np.concatenate(
        (np.linspace(4.0, 1.0, 600), np.full(200, 1.0), np.full(400, 3.0))
    ) + 1e-3 * np.random.default_rng(0).standard_normal(1200)
    step, lasting = course._rise(
        make({"loss": loss, "grad_norm": np.ones(1200)}, step=10 * np.arange(1200), threshold=None)
    )
    assert abs(step - 8000) <= 160
    assert lasting == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize(
    ("times", "words"), [(1.4, "ends at 1.4 times its level before"), (1.25, "the norm went from 1 to 1.25")]
)
def test_what_the_norm_did_meanwhile(times, words):
    norm = np.where(np.arange(1200) < 800, 1.0, times)
    case = make({"loss": np.linspace(2, 1, 1200), "grad_norm": norm}, threshold=None)
    assert words in course._norm_too(case, 800)
    assert course._norm_too(make({"loss": np.ones(1200)}, threshold=None), 800) == ""


@pytest.mark.parametrize(("move", "noise", "found"), [(0.39, 6.0, True), (0.41, 6.0, False), (0.39, 6.1, False)])
def test_a_loss_that_hardly_moves(move, noise, found):
    # Four deviations of the noise from row to row, which is a tenth here.
    rng = np.random.default_rng(0)
    loss = 2.0 + 0.1 * rng.standard_normal(1200)
    case = measured(columns={**healthy(), "loss": loss}, norms={"loss_noise": 0.1})
    noise_ = course.neighbour_noise(loss)
    case.__dict__["progress"] = replace(
        case.progress, start=2.0, end=2.0 - move * noise_ / 0.1, in_noise=noise, relative=0.2, rebound=0.0
    )
    assert (course._hardly_moves(case, case.progress) is not None) == found


def test_the_headline_is_the_finding_of_the_named_cause():
    from gradlens.diagnosis.status import verdict_of
    from gradlens.reports.analysis import CheckResult, Finding

    def found(code, cause, message):
        return Finding(code=code, name=code, severity=Severity.WARNING, message=message, advice="", cause=cause)

    case = measured()
    case.__dict__["cause"] = "bad_data"
    findings = (found("GL201", "lr_too_high", "the rate"), found("GL301", "bad_data", "the batches"))
    results = tuple(
        CheckResult(code=f"GL{i}", name=name, status=status, reason=reason)
        for i, (name, status, reason) in enumerate(
            [
                ("a", "passed", ""),
                ("b", "failed", ""),
                ("c", "skipped", "the log has no loss scale"),
                ("d", "skipped", "the run did not clip"),
            ]
        )
    )
    verdict = verdict_of(case, findings, results)
    assert (verdict.status, verdict.headline, verdict.judged) == ("problem", "The batches.", ("a", "b"))
    assert [(n.what, n.why) for n in verdict.not_judged] == [("the loss scale", "the log has no loss scale")]
    assert verdict_of(case, findings[:1], results).headline == "The rate."
    assert verdict_of(case, (), results).headline == "Bad data."
    case.__dict__["cause"] = "healthy"
    assert verdict_of(case, (), results).headline == "No problem found (2 checks ran; 2 lacked data)."
    assert verdict_of(case, (), results[:2]).headline == "No problem found (2 checks ran)."


def test_an_experiment_comes_with_the_line_that_logs_its_column():
    from gradlens.diagnosis.ranking import with_line

    text = "log the examples of each step"
    assert with_line(text, measured()) == f"{text}; to log it: rec.log(loss=loss, batch_size=len(batch))"
    known = make({**healthy(), "batch_size": np.full(N, 8.0)}, threshold=5.0)
    assert with_line(text, known) == text
    assert with_line("replay the batches of the spikes", measured()).endswith(
        "; or log batch_id with gradlens.Recorder"
    )
    assert with_line("print the rate", measured()) == "print the rate"


def spiking(lead, *, rows=6, at=(300, 450, 600, 750, 900, 1050), height=1.0, **others):
    """Spikes of several rows in loss and norm, of which the norm's begin `lead` rows earlier."""
    rng = np.random.default_rng(0)
    loss, norm = np.full(N, 0.0), np.full(N, 0.0)
    for row in at:
        loss[row : row + rows] += height
        norm[row - lead : row + rows] += 2.0 * height
    run = {
        "loss": 2.0 * np.exp(loss + 0.02 * rng.standard_normal(N)), "grad_norm": np.exp(norm + 0.05 * rng.standard_normal(N)),
        "lr": np.ones(N),
    }  # fmt: skip
    return make(run, threshold=None, **others)


def recurrent(*arguments, **options):
    from gradlens.diagnosis.facts import recurring

    return [(f.cause, f.otherwise, f.steps) for f in recurring.find(spiking(*arguments, **options))]


def test_spikes_that_come_again_and_recover():
    steps = (300, 450, 600, 750, 900, 1050)
    ((cause, _, found),) = recurrent(3)
    assert cause == "recurring_instability"
    assert found == pytest.approx(steps, abs=4)
    ((cause, otherwise, found),) = recurrent(0)
    assert (cause, otherwise) == (None, "bad_data")
    assert found == pytest.approx(steps, abs=1)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, True),
        ({"at": (300, 600)}, False),  # two are no habit
        ({"at": (300, 600, 900)}, True),
        ({"rows": 1}, False),  # a single row
        ({"rows": 80}, False),  # more than a twentieth of the run
        ({"at": (20, 30, 40, 300, 600)}, False),  # before the run has settled
    ],
)
def test_what_makes_spikes_a_habit(change, found):
    assert bool(recurrent(3, **change)) == found


def test_how_far_clipped_steps_reach():
    # Rate times clipped norm times norm, for each step that a row stands for: 0.1 * 1 * 2 twice ten, and the last row ten.
    run = {"loss": np.linspace(2, 1, 3), "grad_norm": np.full(3, 2.0), "lr": np.full(3, 0.1)}
    case = make(run, step=np.array([0, 10, 20]), threshold=1.0)
    assert clipping._reach(case, 20) == pytest.approx(0.1 * 1.0 * 2.0 * 30)
    assert clipping._reach(case, 15) == pytest.approx(0.1 * 1.0 * 2.0 * 20)
    assert clipping._reach(case, -1) == 0.0


def test_how_sure_facts_are():
    zeros = layers.find(layered([0, 0, 0, 0, 1.0]))[0]
    still = dead.find(make({"loss": np.full(50, 1.0), "grad_norm": np.ones(50)}, threshold=None))[0]
    never = dead.find(make({"loss": np.full(50, 1.0), "grad_norm": np.zeros(50)}, threshold=None))[0]
    none = rate.find(make({"loss": np.full(50, 1.0), "grad_norm": np.ones(50), "lr": np.zeros(50)}, threshold=None))[0]
    early = rate.find(with_rate(np.concatenate((np.linspace(1.0, 0.0, 60), np.zeros(40)))))[0]
    sudden = nonfinite.find(ends_in_nan(np.ones(120), np.ones(120), 100))[0]
    assert [f.confidence for f in (zeros, still, never, none, early, sudden)] == [0.9, 0.85, 0.95, 0.95, 0.9, 0.85]
    assert layers.find(make(healthy(60), layers={"grad_norm/a": np.full(60, np.nan)}, threshold=None)) == ()


def test_a_layer_that_grew_is_what_grew_before_the_end():
    grows = np.ones(120)
    grows[90:100] = np.geomspace(1.5, 6.0, 10)
    run = {"loss": np.ones(120), "grad_norm": np.ones(120), "lr": np.full(120, 1e-3)}
    for name in ("loss", "grad_norm"):
        run[name][100:] = np.nan
    case = make(run, layers={"grad_norm/a": grows, "grad_norm/b": np.ones(120)}, threshold=None)
    assert nonfinite.growth_before(case, 100) == "grad_norm/a grew to 6 times its level from step 90 on"
    assert nonfinite.growth_before(case, 120) is None
