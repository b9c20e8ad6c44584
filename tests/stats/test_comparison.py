"""Comparing two runs or two groups of runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gradlens.stats.comparison import (
    block_difference,
    count_difference,
    first_divergence,
    permutation_p,
    run_difference,
    stationary_variance,
    two_proportion_p,
)
from gradlens.stats.dependence import stationary_bootstrap
from gradlens.stats.multiple import holm


@pytest.mark.parametrize(("design_effect", "p"), [(1.0, 0.000316), (4.0, 0.072), (10.0, 0.255)])
def test_two_proportions_with_design_effect(design_effect, p):
    """120 of 2,000 against 180 of 2,000: z is 3.602 if steps were independent."""
    assert two_proportion_p(180, 2000, 120, 2000, design_effect) == pytest.approx(p, abs=6e-4)


@pytest.mark.parametrize(("size", "two_sided"), [(3, 0.10), (4, 0.029), (5, 0.008)])
def test_what_seeds_can_reach(size, two_sided):
    p = permutation_p(np.arange(10.0, 10.0 + size), np.arange(float(size)))
    assert 2 * p == pytest.approx(two_sided, abs=5e-4)


def test_permutation_agrees_with_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.5, 1, 4), rng.normal(0, 1, 5)
    exact = stats.permutation_test((a, b), lambda x, y: x.mean() - y.mean(), alternative="greater", n_resamples=np.inf)
    assert permutation_p(a, b) == pytest.approx(exact.pvalue)


def test_permutation_needs_two_a_side():
    assert permutation_p(np.array([1.0]), np.arange(5.0)) is None


def test_closed_form_of_the_stationary_bootstrap():
    x = np.random.default_rng(1).normal(size=80)
    x = np.convolve(x, np.ones(4), mode="same")
    x -= x.mean()
    drawn = x[stationary_bootstrap(80, 6.0, 20_000, np.random.default_rng(2))].mean(axis=1).var() * 80
    assert stationary_variance(x, 6.0) == pytest.approx(drawn, rel=0.03)


def test_block_difference_of_white_noise_is_the_t_test():
    d = np.random.default_rng(3).normal(0.2, 1.0, 400)
    found = block_difference(d, np.ones(400))
    reference = stats.ttest_1samp(d, 0.0)
    assert found.change == pytest.approx(d.mean())
    assert found.p_two_sided == pytest.approx(reference.pvalue, rel=0.5)
    assert found.interval[0] < d.mean() < found.interval[1]


def test_block_difference_is_wider_for_dependent_blocks():
    noise = np.random.default_rng(4).normal(size=300)
    smooth = np.convolve(noise, np.ones(10) / math.sqrt(10), mode="valid")
    plain = block_difference(noise[: smooth.size], np.ones(smooth.size)).standard_error
    assert block_difference(smooth, np.ones(smooth.size)).standard_error > 1.7 * plain


@pytest.mark.parametrize("difference", [[], [math.nan, math.nan], [math.inf]])
def test_nothing_to_compare_is_nan(difference):
    found = block_difference(np.array(difference, dtype=float), np.ones(len(difference)))
    assert math.isnan(found.change)
    assert found.p_two_sided == 1.0


def test_two_blocks_prove_nothing():
    found = block_difference(np.array([5.0, 5.1]), np.ones(2))
    assert found.interval == (-math.inf, math.inf)
    assert found.p_higher == 1.0


def test_least_variance_keeps_rates_without_events_honest():
    certain = block_difference(np.zeros(50), np.ones(50))
    honest = block_difference(np.zeros(50), np.ones(50), least_variance=1e-4)
    assert certain.standard_error == 0.0
    assert honest.standard_error == pytest.approx(0.01)


def test_zero_weights_leave_blocks_out():
    d = np.array([1.0, 1.1, 0.9, 1.0, 1000.0])
    assert block_difference(d, np.array([1.0, 1.0, 1.0, 1.0, 0.0])).change == pytest.approx(1.0)


def test_runs_without_prior_are_students_test():
    a, b = np.array([1.0, 1.3, 1.1, 1.4]), np.array([0.8, 0.9, 1.0, 1.1, 0.7])
    found = run_difference(a, b, prior_deviation=0.0, prior_df=0.0)
    reference = stats.ttest_ind(a, b)
    assert found.p_two_sided == pytest.approx(reference.pvalue)
    assert found.n_effective == 9


def test_a_prior_keeps_lucky_agreement_from_proving():
    a, b = np.array([1.1]), np.array([1.0, 1.0001])
    assert run_difference(a, b, prior_deviation=0.0, prior_df=0.0).p_two_sided < 0.01
    assert run_difference(a, b, prior_deviation=0.1, prior_df=4.0).p_two_sided > 0.2


def test_variance_within_runs_is_a_floor():
    a, b = np.array([1.1, 1.1]), np.array([1.0, 1.0])
    assert run_difference(
        a, b, prior_deviation=0.0, prior_df=1.0, within_variance=0.01
    ).standard_error == pytest.approx(0.1)


def test_counts_agree_with_the_conditional_test():
    found = count_difference(12, 1000, 3, 1000)
    assert found.p_higher == pytest.approx(stats.binom.sf(11, 15, 0.5))
    assert found.change == pytest.approx(0.009)
    assert count_difference(0, 10, 0, 10).p_higher == 1.0


def test_first_divergence_needs_a_streak_of_one_sign():
    d = np.zeros(100)
    d[20] = 9.0
    d[60:] = 2.0
    assert first_divergence(d, np.full(100, 0.2), sigmas=4, in_a_row=10) == 60
    assert first_divergence(d, np.ones(100), sigmas=4, in_a_row=10) is None
    assert first_divergence(d[:5], np.ones(5), sigmas=4, in_a_row=10) is None


def test_lost_points_count_as_apart():
    d = np.zeros(50)
    d[30:] = math.nan
    assert first_divergence(d, np.ones(50), sigmas=4, in_a_row=5) == 30


def test_weighted_holm():
    plain = holm([0.01, 0.02, None, 0.5])
    assert plain == (0.03, 0.04, None, 0.5)
    weighted = holm([0.02, 0.01, 0.9], weights=[8.0, 1.0, 1.0])
    assert weighted[0] == pytest.approx(0.02 / 8 * 10)
    assert weighted[1] == pytest.approx(max(0.025, 0.01 * 2))
    assert weighted[2] == pytest.approx(0.9)
