"""Families against scipy 1.17."""

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

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


PARETO = 1.0 - (np.arange(400) + 0.5) / 400


def test_parameters_come_in_the_unit_of_the_data():
    rng = np.random.default_rng(7)
    x = 1000.0 * np.exp(0.4 * rng.standard_normal(2000))
    fits = {fit.family: fit.parameters for fit in families.fit_families(x)}
    assert fits["lognormal"] == pytest.approx({"mu": np.log(x).mean(), "sigma": np.log(x).std()})
    assert fits["exponential"] == pytest.approx({"mean": x.mean()})
    shape, _, scale = stats.weibull_min.fit(x, floc=0)
    assert fits["weibull"] == pytest.approx({"shape": shape, "scale": scale}, rel=1e-3)
    shape, _, scale = stats.gamma.fit(x, floc=0)
    assert fits["gamma"] == pytest.approx({"shape": shape, "scale": scale}, rel=1e-3)
    assert fits["power_law_cutoff"]["xmin"] == pytest.approx(x.min())


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_a_cutoff_comes_in_the_unit_of_the_data(unit):
    # Of x^-1.5 e^(-x / 20) from 1 on, the mean log-density by quadrature.
    grid = np.linspace(1, 400, 400_001)
    cdf = np.cumsum(grid**-1.5 * np.exp(-grid / 20))
    x = unit * np.interp((np.arange(2000) + 0.5) / 2000, cdf / cdf[-1], grid)
    (fit,) = (fit for fit in families.fit_families(x) if fit.family == "power_law_cutoff")
    p = fit.parameters
    assert p == pytest.approx({"alpha": 1.5, "rate": 0.05 / unit, "xmin": unit}, rel=0.03)
    normaliser, _ = integrate.quad(
        lambda u: np.exp((1 - p["alpha"]) * u - p["rate"] * p["xmin"] * np.exp(u)), 0, np.log(1e4)
    )
    density = -p["alpha"] * np.log(x / p["xmin"]) - p["rate"] * x - np.log(normaliser * p["xmin"])
    assert fit.log_likelihood == pytest.approx(density.sum())
    assert fit.aic == pytest.approx(6 - 2 * density.sum())
    share = families.family_survival("power_law_cutoff", p, np.array([0.5, 1.001, 5.0, 50.0]) * unit)
    expected = [
        integrate.quad(
            lambda u: np.exp((1 - p["alpha"]) * u - p["rate"] * p["xmin"] * np.exp(u)), np.log(v), np.log(1e4)
        )[0]
        / normaliser
        for v in (1.001, 5.0, 50.0)
    ]
    assert np.isnan(share[0])
    assert share[1:] == pytest.approx(expected, abs=2e-5)


def test_the_gamma_fit_solves_its_equation():
    for shape in (0.05, 0.5, 3.0, 200.0):
        x = np.random.default_rng(8).gamma(shape, size=500)
        x = x[x > 1e-60]
        (fit,) = (fit for fit in families.fit_families(x) if fit.family == "gamma")
        a, theta = fit.parameters["shape"], fit.parameters["scale"]
        assert np.log(a) - special.digamma(a) == pytest.approx(np.log(x.mean()) - np.log(x).mean(), rel=1e-6)
        assert a * theta == pytest.approx(x.mean())
        assert fit.log_likelihood == pytest.approx(stats.gamma(a, scale=theta).logpdf(x).sum())


def test_likelihood_distance_and_criterion_are_those_of_the_fit():
    x = np.sort(3.0 * np.random.default_rng(9).weibull(1.7, 800))
    free = {"lognormal": 2, "weibull": 2, "gamma": 2, "exponential": 1}
    for fit in families.fit_families(x):
        if fit.family in free:
            p = fit.parameters
            frozen = {
                "lognormal": lambda p: stats.lognorm(p["sigma"], scale=np.exp(p["mu"])),
                "weibull": lambda p: stats.weibull_min(p["shape"], scale=p["scale"]),
                "gamma": lambda p: stats.gamma(p["shape"], scale=p["scale"]),
                "exponential": lambda p: stats.expon(scale=p["mean"]),
            }[fit.family](p)
            assert fit.log_likelihood == pytest.approx(frozen.logpdf(x).sum())
            assert fit.aic == pytest.approx(2 * free[fit.family] - 2 * fit.log_likelihood)
            assert fit.ks == pytest.approx(stats.kstest(x, frozen.cdf).statistic, abs=1e-7)


@pytest.mark.parametrize(
    ("y", "known"),
    [(np.linspace(0.1, 1, 9), False), (np.linspace(0.1, 1, 10), True), (np.linspace(0.1, 200, 50), False)],
)
def test_tails_too_short_or_too_long_are_not_compared(y, known):
    assert bool(families.vuong_tests(y, 1.0)) == known


def rivals_by_scipy(y):
    """Log-densities in y = ln(x / xmin) of the best rivals, each maximised by scipy."""
    x = np.exp(y)
    found = {"exponential": stats.expon(scale=x.mean() - 1).logpdf(x - 1) + y}

    def normal(p):
        return stats.norm(p[0], np.exp(p[1])).logpdf(y) - stats.norm(p[0], np.exp(p[1])).logsf(0.0)

    def weibull(p):
        k, rate = np.exp(p)
        return np.log(k * rate) + k * y - rate * np.expm1(k * y)

    for name, density, start in (("lognormal", normal, [-1.0, 0.5]), ("weibull", weibull, [0.0, 0.0])):
        best = optimize.minimize(
            lambda p, d=density: -d(p).sum(), start, method="Nelder-Mead", options={"maxiter": 4000}
        )
        found[name] = density(best.x)
    return found


@pytest.mark.parametrize("kind", ["lognormal", "weibull"])
def test_comparisons_with_a_power_law_match_scipy(kind):
    rng = np.random.default_rng(10)
    y = np.abs(rng.normal(0.3, 0.6, 300)) if kind == "lognormal" else np.log1p(rng.exponential(0.5, 300))
    exponent = 1.0 / y.mean()
    power = np.log(exponent) - exponent * y
    tests = {test.family: test for test in families.vuong_tests(y, exponent)}
    for name, density in rivals_by_scipy(y).items():
        difference = power - density
        z = difference.sum() / np.sqrt(y.size) / difference.std()
        assert tests[name].log_ratio == pytest.approx(difference.sum(), abs=0.01)
        assert tests[name].normalised == pytest.approx(z, abs=0.01)
        assert tests[name].p == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.01)
    cut = tests["power_law_cutoff"]
    assert cut.normalised is None
    assert cut.log_ratio < 0
    assert cut.p == pytest.approx(stats.chi2(1).sf(-2 * cut.log_ratio), rel=1e-6)


def test_the_cutoff_of_an_exact_sample_is_found():
    # x^-1.5 e^(-x / 20) from 1 on, at its quantiles.
    u = np.linspace(0, 8, 200_001)
    density = np.exp(-0.5 * u - np.exp(u) / 20)
    cumulative = np.concatenate(([0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))))
    y = np.interp(PARETO, cumulative / cumulative[-1], u)
    alpha, rate, log_norm = families.fit_cutoff(y.mean(), np.exp(y).mean())
    assert alpha == pytest.approx(1.5, abs=0.02)
    assert 1 / rate == pytest.approx(20.0, rel=0.05)
    normaliser, _ = integrate.quad(lambda x: x**-alpha * np.exp(-rate * x), 1, np.inf)
    assert log_norm == pytest.approx(np.log(normaliser), abs=1e-6)


@pytest.mark.parametrize(("mean_log", "mean"), [(0.0, 2.0), (-0.1, 2.0), (0.5, 1.0)])
def test_no_cutoff_for_a_sample_without_a_tail(mean_log, mean):
    assert families.fit_cutoff(mean_log, mean) is None


CUTOFFS = [(1.0, 1e-3), (1.001, 1e-6), (0.9995, 1e-3), (1.5, 0.05), (50.0, 1e-3), (-3.0, 2.0), (-3.0, 0.01), (2.0, 1e-9), (0.0, 1.0)]  # fmt: skip


def cutoff_integral(alpha, rate, power=0.0, top=60.0):
    """The integral of u^power exp((1 - alpha) u - rate (e^u - 1)) over u from 0 to `top`."""
    return integrate.quad(
        lambda u: u**power * np.exp((1 - alpha) * u - rate * np.expm1(u)), 0, top, limit=500, points=[0.01, 0.1, 1, 5, 10, 20] if top == 60.0 else None
    )[0]  # fmt: skip


@pytest.mark.parametrize(("alpha", "rate"), CUTOFFS)
def test_moments_of_a_cutoff_are_its_integrals(alpha, rate):
    log_norm, mean, covariance = families._cutoff_moments(alpha, rate)
    whole = cutoff_integral(alpha, rate)
    assert log_norm == pytest.approx(np.log(whole) - rate, abs=1e-9)
    # E e^u is the integral for an exponent one smaller over that of the exponent.
    assert mean[0] == pytest.approx(cutoff_integral(alpha, rate, 1.0) / whole, rel=1e-8)
    assert mean[1] == pytest.approx(cutoff_integral(alpha - 1, rate) / whole, rel=1e-7)
    assert covariance[0, 0] == pytest.approx(cutoff_integral(alpha, rate, 2.0) / whole - mean[0] ** 2, rel=1e-6)
    assert covariance[1, 1] == pytest.approx(cutoff_integral(alpha - 2, rate) / whole - mean[1] ** 2, rel=1e-6)
    assert covariance[0, 1] == covariance[1, 0]
    assert covariance[0, 1] == pytest.approx(
        cutoff_integral(alpha - 1, rate, 1.0) / whole - mean[0] * mean[1], rel=1e-6
    )


@pytest.mark.parametrize(("alpha", "rate"), CUTOFFS)
def test_shares_below_under_a_cutoff_are_its_integrals(alpha, rate):
    whole = cutoff_integral(alpha, rate)
    u = np.array([0.0, 0.01, 0.3, 1.0, 3.0])
    exact = [cutoff_integral(alpha, rate, top=v) / whole for v in u]
    np.testing.assert_allclose(families._cutoff_cdf(u, alpha, rate), exact, atol=2e-3)
    ends = families._cutoff_cdf(np.array([0.0, 700.0]), alpha, rate)
    assert (ends[0], ends[1]) == (0.0, 1.0)


@pytest.mark.parametrize(("alpha", "rate"), [(-500.0, 12.0), *(c for c in CUTOFFS if c[1] > 1e-7 and c[0] < 10)])
def test_a_cutoff_is_found_from_its_own_moments_in_few_steps(monkeypatch, alpha, rate):
    _, mean, _ = families._cutoff_moments(alpha, rate)
    calls, moments = [], families._cutoff_moments
    monkeypatch.setattr(families, "_cutoff_moments", lambda a, r: calls.append((a, r)) or moments(a, r))
    found = families.fit_cutoff(float(mean[0]), float(mean[1]))
    assert found[0] == pytest.approx(alpha, abs=1e-7 * max(abs(alpha), 1.0))
    assert found[1] == pytest.approx(rate, rel=1e-7)
    assert len(calls) <= 12


@pytest.mark.parametrize("low", [0.5, 3.0])
def test_a_cutoff_beats_its_neighbours(low):
    x = low * (1.0 + stats.gamma(1.5).ppf((np.arange(300) + 0.5) / 300))
    (fit,) = (fit for fit in families.fit_families(x) if fit.family == "power_law_cutoff")
    p = fit.parameters

    def likelihood(exponent, rate):
        log_norm = np.log(cutoff_integral(exponent, rate * p["xmin"])) - rate * p["xmin"]
        return -(exponent * np.log(x / p["xmin"]) + rate * x + log_norm + np.log(p["xmin"])).sum()

    best = likelihood(p["alpha"], p["rate"])
    assert fit.log_likelihood == pytest.approx(best, rel=1e-9)
    for shift in (-0.02, 0.02):
        assert likelihood(p["alpha"] + shift, p["rate"]) < best
        assert likelihood(p["alpha"], p["rate"] * (1 + 5 * shift)) < best


@pytest.mark.parametrize("n", [19, 20])
def test_twenty_values_have_a_family(n):
    assert bool(families.fit_families(np.linspace(1.0, 2.0, n))) == (n == 20)


@pytest.mark.parametrize("n", [1000, 1024, 1025, 3000])
def test_a_distance_is_taken_at_evenly_spaced_order_statistics(n):
    x = np.sort(np.random.default_rng(11).gamma(2.0, size=n))
    (fit,) = (fit for fit in families.fit_families(x) if fit.family == "exponential")
    exact = stats.kstest(x, stats.expon(scale=x.mean()).cdf).statistic
    at = np.rint(np.linspace(0, n - 1, min(n, 1024))).astype(int)
    model = -np.expm1(-x[at] / x.mean())
    assert fit.ks == pytest.approx(max((model - at / n).max(), ((at + 1) / n - model).max()), rel=1e-9)
    assert exact - 1 / 1024 <= fit.ks <= exact + 1e-12


def test_the_exponential_rival_of_a_narrow_tail_is_exact():
    # exp(y) - 1 of values of a millionth, which a difference of exponentials would round.
    y = 1e-6 * stats.expon.ppf((np.arange(200) + 0.5) / 200)
    exponent = 1.0 / y.mean()
    (test,) = (t for t in families.vuong_tests(y, exponent) if t.family == "exponential")
    mean = np.expm1(y).mean()
    difference = np.log(exponent * mean) + np.expm1(y) / mean - (1 + exponent) * y
    assert test.log_ratio == pytest.approx(difference.sum(), abs=1e-6)


@pytest.mark.parametrize("unit", [1e-60, 1e-3, 1e60])
def test_fits_are_the_same_in_any_unit_and_order(unit):
    x = np.random.default_rng(12).gamma(2.0, size=400)
    one = {f.family: f for f in families.fit_families(x)}
    other = {f.family: f for f in families.fit_families(unit * x[::-1])}
    for family, fit in one.items():
        assert other[family].ks == pytest.approx(fit.ks, abs=1e-6)
        assert other[family].log_likelihood == pytest.approx(fit.log_likelihood - 400 * np.log(unit), rel=1e-9)


@pytest.mark.parametrize("kind", ["narrow", "wide", "very wide", "one outlier above", "one below", "two lumps"])
def test_newton_steps_are_few_from_starts_that_close(monkeypatch, kind):
    z = stats.norm.ppf((np.arange(500) + 0.5) / 500)
    x = {
        "narrow": np.exp(0.05 * z), "wide": np.exp(z), "very wide": np.exp(3.0 * z), "one outlier above": np.append(np.ones(30), 2.0),
        "one below": np.append(np.ones(30), 0.5), "two lumps": np.append(np.ones(300), np.full(300, 90.0)),
    }[kind]  # fmt: skip
    sums, digammas, inner, digamma = [], [], families.inner, families.digamma
    monkeypatch.setattr(families, "inner", lambda *a: sums.append(a) or inner(*a))
    monkeypatch.setattr(families, "digamma", lambda a: digammas.append(a) or digamma(a))
    assert len(families.fit_families(x)) >= 4
    assert len(sums) // 2 <= 8  # two sums a step
    assert len(digammas) <= 4
