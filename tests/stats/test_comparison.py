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
)
from gradlens.stats.dependence import block_length, stationary_bootstrap
from gradlens.stats.multiple import holm


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


def test_holm_stops_at_one_and_never_falls():
    assert holm([0.4, 0.6, 0.9]) == (1.0, 1.0, 1.0)
    assert holm([0.01, 0.011]) == (0.02, 0.02)
    assert holm([None, None]) == (None, None)
    assert holm([]) == ()


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.0], [0.3, -0.2, 0.5, 0.1], [5.0, 5.1, 4.8, 5.3, 5.0, 4.9, 5.2]])
@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_few_blocks_are_students_one_sample_test(values, confidence):
    # Below ten blocks the length of a block is 1, so that the variance is the usual one.
    found = block_difference(np.array(values), np.full(len(values), 7.0), confidence=confidence)
    reference = stats.ttest_1samp(values, 0.0)
    interval = reference.confidence_interval(confidence)
    assert found.df == len(values) - 1
    assert found.p_two_sided == pytest.approx(reference.pvalue)
    assert found.p_higher == pytest.approx(stats.ttest_1samp(values, 0.0, alternative="greater").pvalue)
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert found.standard_error == pytest.approx(stats.sem(values))


def test_weights_by_hand():
    # Shares .5, .25, .25: mean 1.75; influences 3 * share * (value - 1.75) = -1.125, .1875, .9375, their mean square .7265625.
    found = block_difference(np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 1.0]))
    assert found.change == 1.75
    assert found.standard_error == pytest.approx(math.sqrt(0.7265625 / 3 * 3 / 2))


def test_degrees_of_freedom_count_whole_blocks():
    x = np.convolve(np.random.default_rng(4).normal(size=203), np.ones(4), mode="valid")
    influence = x - x.mean()
    expected = block_length(influence).stationary
    assert expected > 2
    found = block_difference(x, np.ones(x.size))
    assert found.df == pytest.approx(x.size / expected - 1)
    assert found.p_higher == pytest.approx(stats.t.sf(found.change / found.standard_error, found.df))
    variance = stationary_variance(influence, expected) / (x.size - 1)
    assert found.standard_error == pytest.approx(math.sqrt(variance))


@pytest.mark.parametrize("block", [1.0, 3.0, 10.0])
def test_variance_of_blocks_by_sums(block):
    # Lemma 1 of Politis and Romano, lag by lag, the series wrapped around.
    x = np.random.default_rng(5).normal(size=17)
    x -= x.mean()
    n, q = x.size, 1 / block
    gamma = [float(x @ np.roll(x, -k)) / n for k in range(n)]
    b = [(1 - k / n) * (1 - q) ** k + k / n * (1 - q) ** (n - k) for k in range(n)]
    assert stationary_variance(x, block) == pytest.approx(gamma[0] + sum(b[k] * gamma[k] for k in range(1, n)))
    assert stationary_variance(x[:1], block) == 0.0


def test_what_does_not_vary_is_certain():
    same = block_difference(np.full(16, 2.0), np.ones(16))
    assert (same.p_higher, same.p_two_sided, same.interval) == (0.0, 0.0, (2.0, 2.0))
    lower = block_difference(np.full(16, -2.0), np.ones(16))
    assert (lower.p_higher, lower.p_two_sided) == (1.0, 0.0)
    none = block_difference(np.zeros(16), np.ones(16))
    assert (none.p_higher, none.p_two_sided) == (0.5, 1.0)


def test_counts_have_a_normal_interval_with_half_an_event():
    found = count_difference(9, 2000, 4, 1000, confidence=0.9)
    error = math.sqrt(9.5 / 2000**2 + 4.5 / 1000**2)
    assert found.change == pytest.approx(0.0005)
    assert found.standard_error == pytest.approx(error)
    assert found.interval == pytest.approx((0.0005 - 1.6448536 * error, 0.0005 + 1.6448536 * error))
    assert found.p_higher == pytest.approx(stats.binom.sf(8, 13, 2 / 3))


@pytest.mark.parametrize(("candidate", "baseline"), [(0, 8), (8, 0), (3, 9), (9, 3), (4, 4), (0, 0)])
def test_both_sides_of_a_count(candidate, baseline):
    found = count_difference(candidate, 500, baseline, 500)
    total = candidate + baseline
    lower, higher = stats.binom.cdf(candidate, total, 0.5), stats.binom.sf(candidate - 1, total, 0.5)
    assert found.p_two_sided == pytest.approx(min(1.0, 2 * min(lower, higher)))


def test_moderated_variance_by_hand():
    # (4 * .1^2 + .02 + .005) / (4 + 3) = .065 / 7, times 1/2 + 1/3, on 7 degrees.
    found = run_difference(
        np.array([1.0, 1.1]), np.array([0.9, 0.95, 0.85]), prior_deviation=0.1, prior_df=4.0, confidence=0.95
    )
    error = math.sqrt((0.04 + 0.005 + 0.005) / 7 * (1 / 2 + 1 / 3))
    assert (found.change, found.df, found.n_effective) == pytest.approx((0.15, 7.0, 5.0))
    assert found.standard_error == pytest.approx(error)
    assert found.p_higher == pytest.approx(stats.t.sf(0.15 / error, 7))
    half = stats.t.ppf(0.975, 7) * error
    assert found.interval == pytest.approx((0.15 - half, 0.15 + half))


def test_permutations_count_ties_and_have_an_end():
    assert permutation_p(np.ones(3), np.ones(3)) == 1.0
    assert permutation_p(np.array([0.0, 0.0]), np.array([1.0, 1.0])) == 1.0
    assert permutation_p(np.array([1.0, 1.0]), np.array([0.0, 0.0])) == pytest.approx(1 / 6)
    assert permutation_p(np.arange(9.0), np.arange(9.0)) is None  # 48,620 arrangements
    assert permutation_p(np.arange(8.0), np.arange(8.0)) is not None  # 12,870


def test_divergence_of_curves_that_are_just_long_enough():
    d = np.full(5, 3.0)
    assert first_divergence(d, np.ones(5), sigmas=2, in_a_row=5) == 0
    assert first_divergence(d, np.ones(5), sigmas=3, in_a_row=5) is None  # at the bound is not beyond
    assert first_divergence(-d, np.ones(5), sigmas=2, in_a_row=5) == 0
    assert first_divergence(d, np.ones(5), sigmas=2, in_a_row=6) is None
    both = np.array([0.0, -9.0, -9.0, 9.0, 9.0, 9.0])
    assert first_divergence(both, np.ones(6), sigmas=2, in_a_row=2) == 1
    assert first_divergence(both, np.ones(6), sigmas=2, in_a_row=3) == 3
