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


def profile_loss(y, theta):
    xi = np.log1p(theta * y).mean()
    return np.log(xi / theta) + xi


@pytest.mark.parametrize("theta", [-0.1, -1e-3, -3e-6, -2e-9, 2e-9, 3e-6, 1e-3, 0.7, 20.0])
def test_the_slope_is_the_derivative_of_the_likelihood(theta):
    y = np.random.default_rng(2).gamma(0.8, size=200).astype(np.longdouble)
    y /= y.mean()
    # Near 0 in long doubles and by the difference over a wide step, where the function is smooth.
    h = np.longdouble(max(abs(theta) * 1e-3, 1e-4))
    if abs(theta) < 1e-4:
        around = [theta + k * h for k in (-2, -1, 1, 2)]
        f = [profile_loss(y, np.longdouble(t)) for t in around]
        numeric = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)
    else:
        numeric = (profile_loss(y, theta + h) - profile_loss(y, theta - h)) / (2 * h)
    assert gpd._slope(y.astype(float), theta) == pytest.approx(float(numeric), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("xi", [-0.3, 0.0, 0.2, 0.8])
def test_the_maximum_beats_every_neighbour(n, xi):
    y = stats.genpareto.rvs(xi, scale=3.0, size=n, random_state=n)
    fit = gpd.fit_gpd(y)

    def likelihood(sigma, index):
        return stats.genpareto.logpdf(y, index, scale=sigma).sum()

    assert fit.log_likelihood == pytest.approx(likelihood(fit.sigma, fit.xi), rel=1e-9)
    assert fit.xi_error == pytest.approx(max(1 + fit.xi, 0.1) / np.sqrt(n))
    for factor in (0.99, 1.01):
        for shift in (-0.01, 0.0, 0.01):
            assert likelihood(fit.sigma * factor, fit.xi + shift) < fit.log_likelihood


def test_ten_excesses_are_needed_and_only_sizes_count():
    y = np.linspace(0.1, 2.0, 10)
    assert gpd.fit_gpd(y[:9]).reason == "only 9 excesses, 10 needed"
    whole = gpd.fit_gpd(y)
    with_others = gpd.fit_gpd(np.concatenate((y, [np.nan, np.inf, -1.0, 0.0])))
    assert (whole.reason, whole.n, with_others.n) == (None, 10, 10)
    assert with_others.xi == whole.xi


def test_survival_at_the_ends():
    y = np.array([0.0, 1.0, 4.0, 5.0])
    np.testing.assert_allclose(gpd.gpd_survival(y, 1.0, -0.25), [1.0, 0.75**4, 0.0, 0.0])
    np.testing.assert_allclose(gpd.gpd_survival(y, 2.0, 0.0), np.exp(-y / 2))
    np.testing.assert_allclose(gpd.gpd_survival(y, 2.0, 0.5), (1 + y / 4) ** -2.0)


@pytest.mark.parametrize("xi", sorted(gpd.AD_QUANTILES))
def test_the_table_of_distances_is_read_at_its_entries_and_between(xi):
    row = gpd.AD_QUANTILES[xi]
    for quantile, p in zip(row, gpd.AD_PROBABILITIES, strict=True):
        assert gpd.anderson_darling_p(quantile, xi) == pytest.approx(p)
    middle = gpd.anderson_darling_p(0.5 * (row[2] + row[3]), xi)
    assert middle == pytest.approx(np.sqrt(0.1 * 0.05))
    assert gpd.anderson_darling_p(0.0, xi) == 1.0
    assert gpd.anderson_darling_p(0.5 * row[0], xi) == pytest.approx(0.75)
    # Beyond the table with its last slope, and never 0.
    assert gpd.anderson_darling_p(2 * row[-1] - row[-2], xi) == pytest.approx(0.0001)
    assert gpd.anderson_darling_p(1e6, xi) == 1e-12


def test_shapes_beyond_the_table_take_its_ends_and_others_the_mean():
    assert gpd.anderson_darling_p(1.0, 5.0) == gpd.anderson_darling_p(1.0, 1.0)
    assert gpd.anderson_darling_p(1.0, -0.9) == gpd.anderson_darling_p(1.0, -0.4)
    assert gpd.anderson_darling_p((0.413 + 0.397) / 2, -0.1) == pytest.approx(0.5)


def test_anderson_darling_by_sums():
    f = np.sort(np.random.default_rng(3).random(7))
    n = 7
    by_hand = -n - sum((2 * i - 1) / n * (np.log(f[i - 1]) + np.log(1 - f[n - i])) for i in range(1, n + 1))
    assert gpd.anderson_darling(1 - f) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([], 0),
        ([0.5, 0.5], 0),
        ([0.01, 0.5, 0.9], 1),
        ([0.01, 0.02, 0.9], 2),
        ([0.2, 0.001, 0.001], 3),
        ([0.09], 1),
        ([0.1], 0),
        ([1.0], 0),
    ],
)
def test_forward_stop_by_hand(p_values, rejected):
    # -ln(1 - .09) is .094, -ln(1 - .1) is .105; the mean of .223, .001 and .001 is .075.
    assert gpd.forward_stop(p_values) == rejected


def test_levels_need_fifty_excesses_each():
    value = np.random.default_rng(4).exponential(size=1000)
    assert [t.level for t in gpd.peaks_over_threshold(value).tried] == [0.85, 0.87, 0.89, 0.91, 0.93]
    assert [t.fit.n for t in gpd.peaks_over_threshold(value).tried] == [149, 129, 109, 89, 69]
    # Of 341 the 85 % quantile leaves 51, of 340 it leaves 50, of 335 too few.
    assert len(gpd.peaks_over_threshold(value[:341]).tried) == 1
    assert gpd.peaks_over_threshold(value[:330]).chosen is None


def test_band_and_choice_are_of_the_levels_from_the_chosen_one_on():
    value = np.random.default_rng(5).exponential(size=4000)
    found = gpd.peaks_over_threshold(value)
    at = found.tried.index(found.chosen)
    indices = [t.fit.xi for t in found.tried[at:]]
    assert found.band == (min(indices), max(indices))
    assert at == gpd.forward_stop([t.fit.p for t in found.tried])
    for tried in found.tried:
        assert tried.threshold == np.sort(value)[int(tried.level * 4000)]


def test_long_tails_are_thinned_and_keep_the_error_of_all():
    y = np.sort(stats.genpareto.rvs(0.3, size=60_000, random_state=6))
    found = gpd._fit_thinned(y)
    whole = gpd.fit_gpd(y)
    assert found.n == 60_000
    assert found.xi == pytest.approx(whole.xi, abs=0.01)
    assert found.xi_error == pytest.approx(whole.xi_error, rel=0.01)
    assert found.log_likelihood == pytest.approx(whole.log_likelihood, rel=0.01)


@pytest.mark.parametrize("xi", [-0.2, 0.0, 0.4])
def test_the_interval_of_a_quantile_is_that_of_the_likelihood_ratio(xi):
    y = stats.genpareto.rvs(xi, scale=2.0, size=150, random_state=7)
    n, p = 1000, 0.99
    found = gpd.tail_quantile(y, 5.0, n, p)
    fit = gpd.fit_gpd(y)
    ratio = np.log(150 / (n * (1 - p)))

    def best(quantile):
        shapes = np.concatenate((np.linspace(-0.85, 1.8, 2650), [fit.xi]))
        sigma = quantile * shapes / np.expm1(shapes * ratio)
        return max(stats.genpareto.logpdf(y, s, scale=g).sum() for s, g in zip(shapes, sigma, strict=True))

    assert found.value == pytest.approx(5.0 + stats.genpareto.isf(np.exp(-ratio), fit.xi, scale=fit.sigma))
    for end in found.interval:
        assert best(end - 5.0) == pytest.approx(fit.log_likelihood - stats.chi2(1).ppf(0.95) / 2, abs=0.01)
    assert found.interval[0] < found.value < found.interval[1]


@pytest.mark.parametrize(
    ("function", "low", "high", "root", "most"),
    [
        (lambda x: x**9 - 1e-3, 0.0, 2.0, 1e-3 ** (1 / 9), 40),
        (lambda x: np.expm1(8 * (x - 0.3)), -2.0, 1.0, 0.3, 20),
        (lambda x: -np.expm1(-8 * (x - 0.3)), -0.2, 3.0, 0.3, 20),
        (lambda x: x - 0.1, -1.0, 1.0, 0.1, 1),
    ],
    ids=["flat", "rising", "levelling", "straight"],
)
def test_a_root_is_found_in_few_steps_however_the_function_bends(function, low, high, root, most):
    calls = []

    def counted(x):
        calls.append(x)
        return float(function(x))

    found = gpd._root(counted, (low, float(function(low))), (high, float(function(high))))
    assert found == pytest.approx(root, rel=1e-9)
    assert len(calls) <= most
    assert all(low <= x <= high for x in calls)


@pytest.mark.parametrize("unit", [1e-60, 1.0, 1e60])
def test_a_tail_in_any_unit_and_order(unit):
    y = stats.genpareto.rvs(0.3, size=700, random_state=3)
    one, other = gpd.fit_gpd(y, goodness=True), gpd.fit_gpd(unit * y[::-1], goodness=True)
    assert (other.xi, other.sigma / unit) == pytest.approx((one.xi, one.sigma), rel=1e-9)
    assert (other.anderson_darling, other.p) == pytest.approx((one.anderson_darling, one.p), rel=1e-6)
    assert other.log_likelihood == pytest.approx(one.log_likelihood - 700 * np.log(unit), rel=1e-9)


def test_uniform_excesses_have_the_largest_one_as_their_end():
    y = 3.0 * (np.arange(1000) + 0.5) / 1000
    found = gpd.fit_gpd(y)
    assert (found.xi, found.sigma) == (-0.99, pytest.approx(y.max()))
    assert found.xi_error == pytest.approx(0.1 / np.sqrt(1000))


def test_distances_of_what_a_model_holds_for_impossible_are_finite():
    # A survival of 0 or 1 is cut to 1e-300 and 1 - 1e-16.
    survival = np.array([1.0, 0.5, 0.0])
    low, high = np.log(1e-300), np.log1p(-(1.0 - 1e-16))
    by_hand = -3 - (1 * (high + low) + 3 * (np.log(0.5) + np.log(0.5)) + 5 * (np.log1p(-1e-300) + np.log(1.0))) / 3
    assert gpd.anderson_darling(survival) == pytest.approx(by_hand)


def test_nothing_and_ties_have_no_threshold():
    assert gpd.peaks_over_threshold(np.zeros(0)).tried == ()
    # Above the 85 % quantile 60 values and more, all equal: no tail.
    value = np.concatenate((np.arange(400.0), np.full(60, 1000.0)))
    assert [t.level for t in gpd.peaks_over_threshold(value, levels=(0.85, 0.9)).tried] == [0.85]
    assert gpd.peaks_over_threshold(value, levels=(0.9,)).reason
    # Those at the threshold itself lie not above it.
    ties = np.concatenate((np.arange(300.0), np.full(40, 300.0), np.arange(301.0, 351.0)))
    (tried,) = gpd.peaks_over_threshold(ties, levels=(0.85,)).tried
    assert (tried.threshold, tried.fit.n) == (300.0, 50)
    assert gpd.peaks_over_threshold(ties[:-1], levels=(0.85,)).tried == ()


@pytest.mark.parametrize(("n", "thinned"), [(20_000, 20_000), (20_001, 10_000), (40_000, 20_000), (40_001, 13_334)])
def test_at_most_twenty_thousand_excesses_are_fitted(monkeypatch, n, thinned):
    seen, fit = [], gpd.fit_gpd
    monkeypatch.setattr(gpd, "fit_gpd", lambda y, **how: seen.append(y) or fit(y, **how))
    y = np.sort(np.random.default_rng(0).exponential(size=n))
    found = gpd._fit_thinned(y)
    stride = -(-n // 20_000)
    assert seen[0].size == thinned
    np.testing.assert_array_equal(seen[0], y[stride // 2 :: stride])
    assert found.n == n
    assert found.xi_error == pytest.approx((1 + found.xi) / np.sqrt(thinned * stride), rel=1e-9)


@pytest.mark.parametrize("xi", [-0.8, -0.3, 0.0, 0.5, 2.0])
@pytest.mark.parametrize("n", [10, 30, 255, 256, 511, 512, 2000])
def test_the_maximum_beats_a_grid_of_all_shapes(n, xi):
    y = stats.genpareto(xi).ppf((np.arange(n) + 0.5) / n)
    found = gpd.fit_gpd(y)
    best = -np.inf
    for theta in np.concatenate((-np.geomspace(1e-4, 0.9999, 300), np.geomspace(1e-4, 1e4, 300))) / y.max():
        shape = np.log1p(theta * y).mean()
        if shape > -0.99:
            best = max(best, -n * (np.log(shape / theta) + shape + 1))
    assert found.log_likelihood >= best - 1e-9 * n
    assert found.log_likelihood == pytest.approx(stats.genpareto.logpdf(y, found.xi, scale=found.sigma).sum(), rel=1e-6)


def test_survival_of_all_shapes_by_its_formula():
    y = np.array([0.0, 0.5, 1.0, 1.9, 2.0, 50.0])
    for xi in (-1.0, -0.5, -1e-3, 1e-3, 1.0, 4.0):
        np.testing.assert_allclose(gpd.gpd_survival(y, 1.0, xi), np.maximum(1 + xi * y, 0) ** (-1 / xi), rtol=1e-9)


@pytest.mark.parametrize("xi", [-0.4, 0.0, 0.3, 1.5])
def test_the_profile_of_a_quantile_is_the_best_over_all_shapes(xi):
    y = stats.genpareto(xi).ppf((np.arange(120) + 0.5) / 120)
    start = gpd.fit_gpd(y).xi
    shapes = np.linspace(max(start - 1, -0.9), start + 1.5, 2001)
    shapes = shapes[np.abs(shapes) > 1e-6][:, None]
    for quantile in (2.0, 4.0, 9.0):
        sigma = quantile * shapes / np.expm1(1.5 * shapes)
        inside = np.log(np.maximum(1 + shapes / sigma * y, 1e-300))
        best = (120 * np.log(sigma[:, 0]) + ((1 + 1 / shapes) * inside).sum(axis=1)).min()
        assert gpd._quantile_loss(y, quantile, 1.5, start) == pytest.approx(best, abs=2e-3)
