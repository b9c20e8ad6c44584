import numpy as np
import pytest
from scipy import stats

from gradlens.stats import gpd


def grid(n, xi, sigma):
    u = (np.arange(1, n + 1) - 0.5) / n
    return sigma / xi * ((1 - u) ** -xi - 1)


def test_reference_grid():
    found = gpd.fit_gpd(grid(1000, 0.25, 2.0))
    assert found.sigma == pytest.approx(2.0028158, abs=5e-8)
    assert found.xi == pytest.approx(0.24815884, abs=5e-9)
    assert -found.log_likelihood == pytest.approx(1942.712937, abs=5e-7)


@pytest.mark.parametrize("xi", [-0.4, -0.1, 0.0, 0.2, 0.6, 1.2])
def test_the_maximum_is_at_least_that_of_scipy(xi):
    y = stats.genpareto.rvs(xi, scale=3.0, size=400, random_state=np.random.default_rng(5))
    found = gpd.fit_gpd(y)
    shape, _, scale = stats.genpareto.fit(y, floc=0)
    assert found.log_likelihood >= stats.genpareto.logpdf(y, shape, 0, scale).sum() - 1e-6
    assert found.log_likelihood == pytest.approx(stats.genpareto.logpdf(y, found.xi, 0, found.sigma).sum(), rel=1e-9)
    assert found.xi == pytest.approx(shape, abs=2e-3)


def test_scale_invariance():
    y = grid(300, 0.3, 1.0)
    a, b = gpd.fit_gpd(y), gpd.fit_gpd(y * 2.0**40)
    assert b.xi == pytest.approx(a.xi, rel=1e-9)
    assert b.sigma == pytest.approx(a.sigma * 2.0**40, rel=1e-9)


@pytest.mark.parametrize("y", [np.zeros(0), np.ones(5), np.full(100, 3.0), np.full(100, np.nan), -np.ones(50)])
def test_thin_or_constant_excesses_have_a_reason(y):
    found = gpd.fit_gpd(y)
    assert found.xi is None
    assert found.reason


def test_uniform_excesses_stop_at_the_edge_of_the_likelihood():
    assert gpd.fit_gpd(np.linspace(0.001, 1.0, 200)).xi >= gpd.MIN_XI


def test_survival_matches_scipy():
    y = np.linspace(0.0, 5.0, 50)
    for xi in (-0.3, 0.0, 0.4):
        np.testing.assert_allclose(gpd.gpd_survival(y, 1.3, xi), stats.genpareto.sf(y, xi, 0, 1.3), atol=1e-14)


def test_anderson_darling_of_a_known_distribution_matches_scipy():
    x = np.random.default_rng(0).exponential(size=60)
    expected = stats.anderson(x, "expon", method="interpolate").statistic
    assert gpd.anderson_darling(np.exp(-np.sort(x) / x.mean())) == pytest.approx(expected, rel=1e-9)


def test_anderson_darling_p_values_are_uniform_under_the_null():
    rng = np.random.default_rng(2)
    p = [gpd.fit_gpd(stats.genpareto.rvs(0.3, size=200, random_state=rng), goodness=True).p for _ in range(200)]
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.1)


def test_forward_stop():
    assert gpd.forward_stop([0.5, 0.6, 0.9]) == 0
    assert gpd.forward_stop([0.001, 0.002, 0.9]) == 2
    assert gpd.forward_stop([]) == 0


def test_the_threshold_rises_until_the_tail_is_pareto():
    rng = np.random.default_rng(3)
    body = rng.uniform(0, 1, 9400)
    tail = 1 + stats.genpareto.rvs(0.4, scale=0.5, size=600, random_state=rng)
    found = gpd.peaks_over_threshold(rng.permutation(np.concatenate((body, tail))))
    assert found.chosen.level >= 0.93
    assert found.chosen.fit.xi == pytest.approx(0.4, abs=0.2)
    assert found.band[0] <= found.chosen.fit.xi <= found.band[1]


def test_too_few_values_for_a_threshold():
    assert gpd.peaks_over_threshold(np.arange(100.0)).reason
    assert gpd.peaks_over_threshold(np.full(5000, 1.0)).reason


def test_profile_interval_holds_the_true_quantile():
    rng = np.random.default_rng(4)
    truth = 3.0 + stats.genpareto.isf(0.01, 0.2, scale=1.5)
    held = 0
    for _ in range(15):
        y = stats.genpareto.rvs(0.2, scale=1.5, size=100, random_state=rng)
        found = gpd.tail_quantile(y, 3.0, 1000, 0.999)
        assert found.interval[0] < found.value < found.interval[1]
        held += found.interval[0] <= truth <= found.interval[1]
    assert held >= 11


def test_the_quantile_is_that_of_the_fitted_tail():
    y = grid(100, 0.2, 1.0)
    fit = gpd.fit_gpd(y)
    found = gpd.tail_quantile(y, 3.0, 1000, 0.999, fit)
    assert found.value == pytest.approx(3.0 + stats.genpareto.ppf(1 - 1 / 100, fit.xi, scale=fit.sigma), rel=1e-9)
    assert found.interval[0] < found.value < found.interval[1]


def test_a_quantile_below_the_threshold_is_refused():
    assert gpd.tail_quantile(grid(100, 0.2, 1.0), 1.0, 1000, 0.5) is None
