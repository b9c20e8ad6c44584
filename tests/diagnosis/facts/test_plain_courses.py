"""Courses of a loss that need no weighing: thrown off at once, unmoved at a high rate, a fall in the noise, running means."""

from __future__ import annotations

import numpy as np
import pytest

import gradlens
from gradlens.diagnosis.facts import arithmetic, course, proportion, smoothed, with_the_loss
from gradlens.diagnosis.features.progress import plainly_fell
from gradlens.reports.base import Severity
from tests.synthetic import make

ROWS = 600


def noise(rows=ROWS, spread=0.05, seed=0):
    return np.exp(spread * np.random.default_rng(seed).standard_normal(rows))


def case(loss, *, norm=None, rate=3e-3, every=1):
    loss = np.asarray(loss, dtype=float)
    columns = {"loss": loss, "grad_norm": noise(len(loss), 0.2, 7) if norm is None else norm}
    columns["lr"] = np.full(len(loss), rate) if np.isscalar(rate) else rate
    return make(columns, step=every * np.arange(len(loss)), threshold=None)


# --- thrown off


def thrown(peak=5.0, rest=1.1, spread=0.05):
    t = np.arange(ROWS)
    loss = (rest + (peak - rest) * np.exp(-t / 40)) * noise(spread=spread)
    loss[0] = 1.0
    return 2.3 * loss


def test_a_first_loss_that_is_never_regained_is_told_with_its_peak():
    (fact,) = course.find(case(thrown()))
    assert (fact.code, fact.severity, fact.otherwise, fact.outcome) == (
        "GL511",
        Severity.WARNING,
        "lr_too_high",
        "stalled",
    )
    assert "drove the loss from 2.3" in fact.message


@pytest.mark.parametrize("loss", [thrown(rest=0.5), thrown(peak=1.5), thrown(spread=0.6)])
def test_not_where_it_came_lower_was_hardly_thrown_or_batches_differ_as_much(loss):
    assert not any("first updates" in fact.message for fact in course.find(case(loss)))


def test_not_where_other_batches_are_as_easy_as_the_first():
    loss = np.where(np.arange(ROWS) % 4, 2.0, 0.5) * noise(spread=0.02)
    assert not any("first updates" in fact.message for fact in course.find(case(loss)))


# --- unmoved


def test_a_flat_loss_at_a_high_rate_is_no_fine_tuning():
    (fact,) = course.find(case(1.03 * noise(spread=0.2)))
    assert fact.severity is Severity.WARNING
    assert "at a rate of 0.003" in fact.message


@pytest.mark.parametrize(("spread", "found"), [(0.1, True), (0.2, True), (0.5, False)])
def test_a_loss_stands_still_only_where_a_fall_by_a_tenth_would_show(spread, found):
    facts = course.find(case(1.03 * noise(spread=spread)))
    assert any("at a rate of" in fact.message for fact in facts) == found


def test_a_flat_loss_at_a_low_rate_is_a_note():
    (fact,) = course.find(case(1.03 * noise(spread=0.2), rate=2e-5))
    assert fact.severity is Severity.NOTE


def test_a_loss_that_falls_a_little_is_not_unmoved():
    facts = course.find(case((1.0 - 0.1 * np.linspace(0, 1, ROWS)) * noise(spread=0.02)))
    assert not any(fact.severity.rank for fact in facts)


@pytest.mark.parametrize(("row", "found"), [(0, False), (4, False), (5, True)])
def test_a_loss_that_falls_within_a_few_rows_has_learned(row, found):
    loss = 1.03 * noise(spread=0.02)
    loss[row] = 1.6
    assert any("at a rate of" in fact.message for fact in course.find(case(loss))) == found


# --- a fall in the noise


@pytest.mark.parametrize(("end", "found"), [(0.35, True), (0.97, False), (1.2, False)])
def test_a_fall_is_seen_in_noise_of_a_third(end, found):
    assert plainly_fell((1.0 + (end - 1.0) * np.linspace(0, 1, ROWS)) * noise(spread=0.35)) is found


def test_few_rows_tell_no_fall():
    assert not plainly_fell(np.linspace(2, 1, 99))


def test_a_walk_does_not_fall_by_chance():
    found = 0
    for seed in range(60):
        steps = np.random.default_rng(seed).standard_normal(ROWS)
        wander = np.zeros(ROWS)
        for row in range(1, ROWS):
            wander[row] = 0.98 * wander[row - 1] + 0.02 * steps[row]
        found += plainly_fell(1.0 + wander)
    assert found <= 3


def test_a_noisy_run_that_falls_is_called_learned():
    t = np.linspace(0, 1, ROWS)
    loss = 1.09 * (0.34 + 0.66 * np.exp(-3 * t)) * noise(spread=0.33)
    run = gradlens.analyze({"step": np.arange(ROWS), "loss": loss, "grad_norm": noise(spread=0.3, seed=2)}).runs[0]
    assert run.verdict.outcome == "learned"


# --- running means


def running_mean(share=0.05, rows=ROWS):
    raw = 2.0 * noise(rows, 0.5, 3)
    found, state = np.empty(rows), raw[0]
    for row in range(rows):
        state += share * (raw[row] - state)
        found[row] = state
    return found


def test_a_running_mean_is_told_and_its_wander_is_doubted():
    (fact,) = smoothed.find(case(running_mean()))
    assert fact.severity is Severity.NOTE
    assert "lr_too_high" in fact.doubts


def test_single_batches_are_no_running_mean():
    assert smoothed.find(case(2.0 * noise(spread=0.1))) == ()


def test_a_rise_beyond_its_wander_is_no_noise():
    loss = running_mean()
    loss[ROWS // 2 : ROWS // 2 + 60] *= 3.0
    assert smoothed.find(case(loss)) == ()


# --- norms out of proportion


def test_norms_that_carry_a_scale_are_told_and_not_called_clear():
    loss = (1.0 + 2.0 * np.exp(-np.arange(ROWS) / 60)) * noise()
    norm = 65_536 * noise(spread=0.2, seed=5)
    (fact,) = proportion.find(case(loss, norm=norm))
    assert (fact.code, fact.severity) == ("GL002", Severity.NOTE)
    run = gradlens.analyze({"step": np.arange(ROWS), "loss": loss, "grad_norm": norm}).runs[0]
    assert run.verdict.status == "insufficient"
    assert proportion.find(case(loss, norm=norm / 65_536)) == ()


def test_wild_norms_a_million_times_the_loss_explode():
    (fact,) = proportion.find(case(4.7 * noise(), norm=3e6 * noise(spread=1.0, seed=5)))
    assert (fact.code, fact.severity, fact.cause) == ("GL501", Severity.WARNING, "exploding")


def test_small_norms_of_a_tiny_squared_error_are_none():
    assert proportion.find(case(1e-5 * noise(), norm=0.03 * noise(spread=0.2, seed=5))) == ()


def test_a_loss_near_nothing_has_no_proportion():
    loss = np.exp(-np.arange(ROWS) / 30) + 1e-6
    assert proportion.find(case(loss, norm=200.0 * noise(spread=0.2, seed=5))) == ()


# --- what is excluded in silence


def test_a_rate_that_is_never_zero_excludes_a_rate_of_zero():
    (fact,) = arithmetic.find(case(noise(), rate=1e-4))
    assert fact.rules_out == {"lr_zero"}
    (fact,) = arithmetic.find(case(noise(), rate=np.linspace(1e-4, 0, ROWS)))
    assert fact.rules_out == {"lr_zero"}
    assert arithmetic.find(case(noise(), rate=np.maximum(np.linspace(1e-4, -1e-5, ROWS), 0.0))) == ()


def test_a_norm_that_falls_with_the_loss_at_first_is_not_that_of_a_penalty():
    fall = (1 + np.arange(ROWS) / 10) ** -0.5
    (fact,) = with_the_loss.find(case(0.5 + 2 * fall, norm=0.1 + fall))
    assert fact.rules_out == {"l2_contamination"}
    assert with_the_loss.find(case(0.5 + 2 * fall, norm=np.exp(-np.arange(ROWS) / 300))) == ()


def test_what_only_a_fact_shows_is_told_with_a_half_of_confidence():
    loss = 1.03 * noise(spread=0.2)
    run = gradlens.analyze(
        {"step": np.arange(ROWS), "loss": loss, "grad_norm": noise(spread=0.2, seed=7), "lr": np.full(ROWS, 3e-3)}
    )
    found = run.runs[0].diagnosis
    assert found.cause == "not_learning"
    assert found.confidence >= 0.5
    assert sum(cause.confidence for cause in found.ranking) <= 1.0 + 1e-9
