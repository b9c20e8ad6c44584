"""The decision about one metric at its edges: tolerance, chance, the grey zone, the effective number of rows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gradlens.gating.judge import _decide, _progress
from gradlens.gating.measures import Measured
from gradlens.gating.metrics import METRICS
from gradlens.gating.settings import GateSettings
from gradlens.stats.comparison import Difference

SETTINGS = GateSettings()
CLEAR = Difference(
    change=0.5, standard_error=0.05, df=20.0, interval=(0.4, 0.6), p_higher=1e-6, p_two_sided=2e-6, n_effective=400.0
)


def decide(metric="final_loss", difference=CLEAR, *, tolerance=0.3, p_adjusted=1e-5, method="blocks", worst=(10, 20)):
    measured = Measured(
        candidate=1.5, baseline=1.0, difference=difference, tolerance=tolerance, method=method, worst_steps=worst
    )
    return _decide(METRICS[metric], measured, p_adjusted, SETTINGS)


@pytest.mark.parametrize(("tolerance", "outcome"), [(0.499, "fail"), (0.5, "pass"), (0.501, "pass"), (0.1, "fail")])
def test_the_change_must_pass_the_tolerance(tolerance, outcome):
    assert decide(tolerance=tolerance).outcome == outcome


@pytest.mark.parametrize(("p_adjusted", "outcome"), [(0.049, "fail"), (0.05, "inconclusive"), (None, "inconclusive")])
def test_the_change_must_be_beyond_chance_after_the_correction(p_adjusted, outcome):
    result = decide(p_adjusted=p_adjusted)
    assert result.outcome == outcome
    assert bool(result.advice)


@pytest.mark.parametrize(("low", "outcome"), [(1e-9, "fail"), (0.0, "inconclusive"), (-0.1, "inconclusive")])
def test_the_interval_must_exclude_zero(low, outcome):
    assert decide(difference=replace(CLEAR, interval=(low, 0.6))).outcome == outcome


@pytest.mark.parametrize(
    ("tolerance", "outcome"), [(0.249, "inconclusive"), (0.25, "pass"), (0.251, "pass"), (0.45, "pass"), (0.6, "pass")]
)
def test_twice_the_tolerance_is_never_put_down_to_chance(tolerance, outcome):
    chance = replace(CLEAR, p_higher=0.2, p_two_sided=0.4, interval=(-0.2, 1.2))
    result = decide(difference=chance, tolerance=tolerance, p_adjusted=0.9)
    assert result.outcome == outcome
    assert ("within chance" in result.reason or "chance could explain" in result.reason) == (tolerance < 0.5)


@pytest.mark.parametrize(("p_value", "outcome"), [(0.049, "inconclusive"), (0.05, "pass")])
def test_a_change_beyond_chance_on_its_own_is_not_passed(p_value, outcome):
    found = replace(CLEAR, p_higher=p_value, interval=(-0.01, 1.0))
    assert decide(difference=found, tolerance=0.4, p_adjusted=0.3).outcome == outcome


@pytest.mark.parametrize(("rows", "outcome"), [(49.9, "inconclusive"), (50.0, "fail"), (None, "fail")])
def test_few_effective_rows_cannot_be_judged(rows, outcome):
    assert decide(difference=replace(CLEAR, n_effective=rows)).outcome == outcome
    # Of runs as units the number of rows says nothing.
    assert decide(difference=replace(CLEAR, n_effective=rows), method="runs").outcome == "fail"


@pytest.mark.parametrize("change", [math.nan, math.inf])
def test_what_is_not_a_number_cannot_be_judged(change):
    assert decide(difference=replace(CLEAR, change=change)).outcome == "inconclusive"


def test_without_degrees_of_freedom_nothing_is_judged():
    result = decide(difference=replace(CLEAR, df=0.0))
    assert (result.outcome, result.interval) == ("inconclusive", None)


def test_a_fall_counts_only_where_it_is_as_bad():
    fall = replace(CLEAR, change=-0.5, interval=(-0.6, -0.4), p_higher=1.0, p_two_sided=1e-6)
    assert decide("final_loss", fall).outcome == "pass"
    result = decide("norm_level", fall)
    assert result.outcome == "fail"
    # Ratios are judged as logarithms and shown as ratios, the tolerance on the side of the change.
    assert result.change == pytest.approx(math.exp(-0.5))
    assert result.tolerance == pytest.approx(math.exp(-0.3))
    assert result.interval == (pytest.approx(math.exp(-0.6)), pytest.approx(math.exp(-0.4)))
    assert decide("norm_level").tolerance == pytest.approx(math.exp(0.3))
    assert decide("final_loss").tolerance == 0.3


@pytest.mark.parametrize(("tolerance", "shown"), [(0.99, True), (1.0, False), (1.1, False)])
def test_the_worst_stretch_is_shown_where_the_change_is_half_the_tolerance(tolerance, shown):
    assert (decide(tolerance=tolerance).worst_steps is not None) == shown


def test_a_ratio_beyond_any_float_is_shown_finite():
    result = decide("norm_level", replace(CLEAR, change=800.0, interval=(790.0, 810.0)))
    assert math.isfinite(result.change)


def test_progress_is_from_the_first_losses_to_the_median_of_the_last_fifth(make_summary):
    run = make_summary(0)
    loss = run.columns["loss"]
    fifth = sorted(loss[-(len(loss) // 5) :])
    middle = (fifth[(len(fifth) - 1) // 2] + fifth[len(fifth) // 2]) / 2
    assert _progress([run]) == pytest.approx(run.loss_first - middle)
    rising = make_summary(0, loss_factor=-1.0)
    assert _progress([rising]) == 0.0
    assert _progress([]) == 0.0
