"""Absolute limits, by hand: the limit itself passes, the next number does not, and what is not there is not judged."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradlens.gating.limits import final_loss, judge_limits
from gradlens.gating.noise import row_noise
from gradlens.gating.settings import GateSettings
from tests.gating.by_hand import summary


def outcome(run, **limits):
    (result,) = judge_limits([run], GateSettings(**limits))
    return result.outcome


@pytest.mark.parametrize(("limit", "expected"), [(0.25, "pass"), (0.249, "fail")])
def test_the_clip_rate(limit, expected):
    assert outcome(summary(clipped=2.5 * np.ones(8)), max_clip_rate=limit) == expected
    assert outcome(summary(clipped=9, threshold=None), max_clip_rate=limit) == "pass"
    assert outcome(summary(clipped=9, provenance="post_clip"), max_clip_rate=limit) == "inconclusive"
    assert outcome(summary(norms=0), max_clip_rate=limit) == "inconclusive"


def test_a_clip_rate_at_an_assumed_threshold_is_not_judged():
    assumed = summary(clipped=9, threshold_source="assumed")
    limits = GateSettings(max_clip_rate=0.1)
    (result,) = judge_limits([assumed], limits)
    assert result.outcome == "inconclusive"
    assert "the threshold is not known: give --threshold" in result.reason
    assert judge_limits([assumed], limits, {1.0})[0].outcome == "fail"
    (result,) = judge_limits([assumed], limits, {7.0})
    assert result.outcome == "inconclusive"


@pytest.mark.parametrize(("limit", "expected"), [(24, "pass"), (23, "fail")])
def test_spikes_of_loss_and_norm_together(limit, expected):
    assert outcome(summary(loss_spikes=1, norm_spikes=2), max_spikes=limit) == expected
    assert outcome(summary(spikes_judged=False), max_spikes=limit) == "inconclusive"


@pytest.mark.parametrize(("limit", "expected"), [(27, "pass"), (26, "fail")])
def test_all_that_is_not_finite_counts(limit, expected):
    bad = {"nonfinite": 1, "overflow": 2, "nonfinite_left_out": 3}
    assert outcome(summary(**bad), max_nonfinite=limit) == expected
    # What may hide another one is not passed; what is above the limit fails all the same.
    hidden = "inconclusive" if expected == "pass" else "fail"
    assert outcome(summary(**bad, missing_inside="rows hold no loss"), max_nonfinite=limit) == hidden


@pytest.mark.parametrize(("limit", "expected"), [(2.0, "pass"), (1.99, "fail")])
def test_the_final_loss(limit, expected):
    run = summary(size=10, loss_mean=[9] * 8 + [1, 3])
    assert final_loss(run) == 2.0
    assert outcome(run, max_loss=limit) == expected
    assert outcome(summary(loss_mean=math.nan), max_loss=limit) == "inconclusive"
    assert outcome(summary(ends_early={"loss": "the loss ends"}), max_loss=limit) == "inconclusive"


@pytest.mark.parametrize(
    ("window", "mean"), [(range(10), 8.5), (range(1), 0.0), (range(7), 6.0), (range(8), 6.5), ([0, 1, 2, 9], 3.0)]
)
def test_the_last_fifth_is_one_of_steps(window, mean):
    # Of ten windows two, of seven one; with a gap those of the last fifth of the steps.
    window = list(window)
    assert final_loss(summary(window=window, loss_mean=np.arange(len(window)))) == mean


@pytest.mark.parametrize(("limit", "expected"), [(7.0, "pass"), (6.9, "fail")])
def test_the_largest_norms(limit, expected):
    assert outcome(summary(percentiles={"99": 7.0, "50": 1.0}), max_grad_norm=limit) == expected
    assert outcome(summary(), max_grad_norm=limit) == "inconclusive"


def test_each_candidate_on_its_own():
    results = judge_limits([summary("a", loss_spikes=1), summary("b")], GateSettings(max_spikes=3, max_nonfinite=0))
    assert [(r.run, r.name, r.outcome, r.value) for r in results] == [
        ("a", "max_spikes", "fail", 8.0), ("a", "max_nonfinite", "pass", 0.0),
        ("b", "max_spikes", "pass", 0.0), ("b", "max_nonfinite", "pass", 0.0),
    ]  # fmt: skip
    assert [bool(r.advice) for r in results] == [True, False, False, False]


def test_the_noise_of_rows_is_that_about_a_line():
    # Windows of sixteen rows that lie one above and one below a line: deviation sqrt(20 / 18), rows four times that.
    place = np.arange(20.0)
    run = summary(size=20, losses=16, loss=5 - 0.3 * place + (-1.0) ** place)
    part = np.ones(20, dtype=bool)
    slope = np.polyfit(place, run.columns["loss"], 1)
    residual = run.columns["loss"] - np.polyval(slope, place)
    assert row_noise([run], part) == pytest.approx(4 * math.sqrt((residual**2).sum() / 18))
    assert row_noise([run, summary(size=20, loss=math.nan)], part) == row_noise([run], part)
    part[9:] = False
    assert row_noise([run], part) is None  # nine windows are too few
    part[9] = True
    assert row_noise([run], part) is not None


def test_a_loss_that_wanders_is_noisier_than_its_rows():
    rng = np.random.default_rng(0)
    white = rng.standard_normal(200)
    slow = np.convolve(white, np.ones(8) / math.sqrt(8), mode="same")
    part = np.ones(200, dtype=bool)
    rough, smooth = (row_noise([summary(size=200, losses=1, loss=v)], part) for v in (white, slow))
    assert rough == pytest.approx(1.0, rel=0.1)
    assert smooth > 1.5 * rough
