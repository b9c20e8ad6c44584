"""Families against scipy 1.17."""

import numpy as np
import pytest
from scipy import special, stats

from gradlens.stats import families, gammafn

SCIPY = {
    "lognormal": stats.lognorm,
    "gamma": stats.gamma,
    "weibull": stats.weibull_min,
    "exponential": stats.expon,
}


@pytest.mark.parametrize("shape", [0.3, 2.0, 50.0, 1e3, 5e4, 1e6])
def test_gamma_functions(shape):
    x = np.concatenate((np.linspace(0, 3, 60) * shape, shape + np.linspace(-8, 8, 30) * np.sqrt(shape)))
    np.testing.assert_allclose(gammafn.gamma_survival(shape, x[x >= 0]), special.gammaincc(shape, x[x >= 0]), atol=1e-8)
    assert gammafn.digamma(shape) == pytest.approx(special.digamma(shape), rel=1e-11)
    assert gammafn.trigamma(shape) == pytest.approx(special.polygamma(1, shape), rel=1e-10)


def test_gaussian_null_example():
    # d = 1000, variance 1/1000, C = 2: P(chi-square_1000 > 4000), essentially zero.
    assert gammafn.gamma_survival(500.0, np.array([2000.0])) < 1e-300


@pytest.mark.parametrize("spread", [0.05, 0.3, 1.0])
def test_maximum_likelihood_matches_scipy(spread):
    x = 7.0 * np.exp(spread * np.random.default_rng(0).standard_normal(1000))
    for fit in families.fit_families(x):
        if fit.family in SCIPY:
            frozen = SCIPY[fit.family](*SCIPY[fit.family].fit(x, floc=0))
            assert fit.log_likelihood >= frozen.logpdf(x).sum() - 1e-6 * x.size
            assert fit.ks == pytest.approx(stats.kstest(x, frozen.cdf).statistic, abs=2e-3)


def test_the_family_that_made_the_sample_wins_and_is_adequate():
    rng = np.random.default_rng(1)
    for family, x in (
        ("lognormal", np.exp(0.8 * rng.standard_normal(4000))),
        ("weibull", rng.weibull(3.0, 4000)),
        ("gamma", rng.gamma(3.0, size=4000)),
        ("exponential", rng.exponential(size=4000)),
    ):
        fits = {fit.family: fit for fit in families.fit_families(x)}
        best = min(fit.aic for fit in fits.values())
        assert fits[family].aic <= best + 4.0
        assert fits[family].adequate


def test_the_best_of_bad_fits_is_not_adequate():
    rng = np.random.default_rng(2)
    x = np.concatenate((rng.normal(1.0, 0.01, 1000), rng.normal(5.0, 0.01, 1000)))
    assert not any(fit.adequate for fit in families.fit_families(x))


def test_dependence_widens_the_limit():
    x = np.exp(np.random.default_rng(3).standard_normal(2000))
    assert families.fit_families(x, n_effective=100.0)[0].ks_limit > 2 * families.fit_families(x)[0].ks_limit


def test_cutoff_is_recovered():
    # x^-1.5 e^(-x/10) from 1 on, by inversion of its numerical distribution.
    grid = np.linspace(1, 200, 400_001)
    cdf = np.cumsum(grid**-1.5 * np.exp(-grid / 10))
    x = np.interp((np.arange(20_000) + 0.5) / 20_000, cdf / cdf[-1], grid)
    alpha, rate, _ = families.fit_cutoff(float(np.log(x).mean()), float(x.mean()))
    assert alpha == pytest.approx(1.5, abs=0.01)
    assert rate == pytest.approx(0.1, abs=0.002)


def test_scaling_shifts_the_likelihood_only():
    x = np.exp(0.4 * np.random.default_rng(4).standard_normal(500))
    a = {f.family: f for f in families.fit_families(x)}
    b = {f.family: f for f in families.fit_families(1000.0 * x)}
    for family, fit in a.items():
        assert b[family].ks == pytest.approx(fit.ks, abs=1e-6)
        assert b[family].aic - fit.aic == pytest.approx(2 * 500 * np.log(1000.0), rel=1e-6)


def test_long_samples_keep_the_likelihood_of_all_values():
    x = np.exp(0.4 * np.random.default_rng(5).standard_normal(120_000))
    fit = next(f for f in families.fit_families(x) if f.family == "lognormal")
    exact = stats.lognorm(fit.parameters["sigma"], 0, np.exp(fit.parameters["mu"])).logpdf(x).sum()
    assert fit.log_likelihood == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("x", [np.zeros(0), np.ones(5), np.ones(100), np.full(100, np.inf), -np.arange(100.0)])
def test_thin_data_has_no_fits(x):
    assert families.fit_families(x) == ()


@pytest.mark.parametrize(
    "fit", families.fit_families(np.random.default_rng(4).gamma(3.0, 2.0, 4_000)), ids=lambda fit: fit.family
)
def test_survival_is_that_of_the_fit(fit):
    value = np.sort(np.random.default_rng(4).gamma(3.0, 2.0, 4_000))
    share = families.family_survival(fit.family, fit.parameters, value)
    rank = np.arange(len(value))
    distance = max(np.max(1.0 - share - rank / len(value)), np.max((rank + 1) / len(value) - 1.0 + share))
    assert distance == pytest.approx(fit.ks, abs=2e-3)
    assert np.all(np.diff(share) <= 1e-12)


def test_survival_of_an_unknown_family():
    with pytest.raises(ValueError, match="no such family"):
        families.family_survival("cauchy", {}, np.ones(1))
