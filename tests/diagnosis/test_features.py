"""What is measured on a run before anything is graded."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.diagnosis.features.curves import curve_of, neighbour_noise, rounding_step
from gradlens.diagnosis.features.events import outlier_gap, period_of
from gradlens.diagnosis.features.schedule import schedule_of
from tests import synthetic


def test_period():
    assert period_of(np.array([5, 55, 105, 205, 255])) == (50, 1.0)
    assert period_of(np.array([5, 55, 105])) is None
    assert period_of(np.array([5, 17, 60, 61, 200])) is None


def test_gap_needs_something_that_stands_apart():
    noise = np.linspace(0.0, 0.7, 500)
    assert outlier_gap(noise) == 0.0
    assert outlier_gap(np.append(noise, [4.0, 5.0])) > 1.0


def test_schedule_jump_and_replay():
    rate = synthetic.healthy()["lr"]
    assert schedule_of(rate).jumps == ()
    jumped = rate.copy()
    jumped[700:] *= 4
    assert [row for row, _ in schedule_of(jumped).jumps] == [700]
    replayed = np.concatenate([rate[:800], rate[700:1100]])
    assert schedule_of(replayed).replayed == (800,)


class TestRounding:
    def test_noise_is_at_least_the_step_of_rounding(self):
        rounded = np.round(0.02 + 0.003 * np.random.default_rng(0).standard_normal(400), 2)
        assert np.median(np.abs(np.diff(rounded))) == 0
        assert neighbour_noise(rounded) == pytest.approx(0.01)
        curve = curve_of(rounded, 31)
        assert np.nanmin(curve.spread * np.exp(curve.level)) >= 0.01 - 1e-12

    def test_unrounded_and_constant_values_have_none(self):
        g = np.random.default_rng(0)
        assert rounding_step(g.standard_normal(400)) == 0.0
        assert rounding_step(np.full(50, 0.3)) == 0.0
        assert neighbour_noise(np.full(50, 0.3)) == 0.0
        assert neighbour_noise(np.array([1.0])) == 0.0
