"""Signs that are products, and starts of losses that are short, small or negative: each part at its limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradlens.diagnosis.signs import course
from tests.diagnosis.test_sign_limits import grade, measured
from tests.synthetic import make


@pytest.mark.parametrize(
    ("name", "figure", "value"), [("progress_lost", "kept", 0.4), ("rebounds", "rebound", 0.5), ("stays_raised", "raised", 0.25)]
)  # fmt: skip
@pytest.mark.parametrize("other", ["never_learned", "rise_is_trouble"])
def test_trouble_counts_by_how_much_was_learned_and_by_how_much_a_rise_means(name, figure, value, other, monkeypatch):
    case = measured(progress={figure: value})
    monkeypatch.setattr(course, other, lambda _: 0.25)
    assert grade(name, case) == pytest.approx(0.75 if other == "never_learned" else 0.25)


def opening(loss, *, start=2.0, best=0.0, norm=None):
    """A run that opens so, and whose descent is known; without norms where none are given."""
    columns = {"loss": np.asarray(loss, dtype=float)}
    if norm is not None:
        columns["grad_norm"] = np.asarray(norm, dtype=float)
    case = make(columns, threshold=None)
    case.__dict__["loss_descends"] = True
    case.__dict__["progress"] = replace(measured().progress, start=start, best=best)
    return case


def first(values, rest, n=200):
    """Some values and then one, all but for a millionth, so that nothing is rounded."""
    return np.append(values, np.full(n - len(values), rest)) + 1e-6 * np.sin(np.arange(n))


@pytest.mark.parametrize(
    ("top", "rest", "expected"),
    [
        # Of a descent of two: above everything that follows by a tenth to a half of it.
        (0.0, -0.2, 0.0),
        (0.0, -0.6, 0.5),
        (0.0, -1.0, 1.0),
    ],
)
def test_a_loss_below_zero_that_overshoots_is_measured_by_its_descent(top, rest, expected):
    case = opening(first([-1.4, top], rest))
    assert grade("overshoots_at_once", case) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("rise", "expected"), [(0.3, 0.0), (0.85, 0.5), (1.4, 1.0)])
def test_how_far_it_overshoots(rise, expected):
    case = opening(first([-rise, 0.0], -2.0))
    assert grade("overshoots_at_once", case) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("at", "matched"), [(9, False), (10, True), (29, True), (30, False)])
def test_of_a_short_run_twenty_rows_are_the_rest(at, matched):
    loss = first([-1.4, 0.0], -2.0, 40)
    loss[at] = 0.0
    assert (grade("overshoots_at_once", opening(loss)) == 0.0) == matched


def test_a_run_that_is_too_short_or_begins_elsewhere_shows_no_overshoot():
    assert grade("overshoots_at_once", opening(first([-1.4, 0.0], -2.0, 7))) == 0.0
    assert grade("overshoots_at_once", opening(first([-1.4, 0.0], -2.0, 10))) == 0.0  # nothing follows
    case = opening(first([-1.4, 0.0], -2.0))
    case.__dict__["progress"] = None
    assert grade("overshoots_at_once", case) == 0.0


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        (first([9.0] * 10, 9.0 * np.exp(0.2)), 0.0),
        (first([9.0] * 10, 9.0 * np.exp(-0.05)), 0.5),
        (first([9.0] * 10, 9.0 * np.exp(-0.3)), 1.0),
        (np.zeros(200), 1.0),
        (np.append([9.0] * 10, np.zeros(190)), 1.0),
        (np.append(first([9.0] * 10, 9.0 * np.exp(-0.3), 100), np.full(100, 99.0)), 1.0),  # the first half
        (first([9.0], 2.0, 10), 1.0),
    ],
)
def test_the_highest_norm_of_the_first_rows(norm, expected):
    assert grade("early_norm_unmatched", opening(np.ones(len(norm)), norm=norm)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("values", "rest", "expected"),
    [
        ([0.5, *[0.5 * np.exp(0.3)] * 2], 0.5, 0.0),
        ([0.5, *[0.5 * np.exp(0.45)] * 2], 0.5, 0.5),
        ([0.5, *[0.5 * np.exp(0.6)] * 2], 0.5, 1.0),
        ([0.5, 9.0], 0.5, 0.0),  # one row
        # Of losses below zero by the descent, which is two: half of it to one and a half.
        ([-1.0, 0.0, 0.0], -1.0, 0.0),
        ([-1.0, 1.0, 1.0], -1.0, 0.5),
        ([-1.0, 2.0, 2.0], -1.0, 1.0),
    ],
)
def test_the_second_highest_loss_of_the_rows_after_the_first(values, rest, expected):
    assert grade("first_loss_rise", opening(first(values, rest))) == pytest.approx(expected, abs=1e-4)


def test_without_a_course_a_negative_loss_has_no_scale():
    case = opening(first([-1.0, 2.0, 2.0], -1.0))
    case.__dict__["progress"] = None
    assert grade("first_loss_rise", case) == 0.0
