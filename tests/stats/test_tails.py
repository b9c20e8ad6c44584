from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from gradlens.stats import gpd, tails
from gradlens.stats.indices import tail_indices
from gradlens.stats.robust import log_residuals


def test_a_decaying_scale_looks_heavy_raw_and_light_detrended():
    rng = np.random.default_rng(0)
    x = np.exp(-np.arange(5000) / 1500) * np.exp(0.2 * rng.standard_normal(5000))
    found = tails.describe_tail(x)
    assert tail_indices(x, 2000).hill > 0.5
    assert tail_indices(np.exp(log_residuals(x, found.detrending_window, centred=True)), 2000).hill < 0.2
    assert found.raw.power_law.alpha < 10 < found.detrended.power_law.alpha
    assert found.heavy is False
    assert found.family in ("lognormal", "gamma", "power_law_cutoff")


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_a_pareto_tail_is_heavy(shift):
    x = shift + stats.genpareto.rvs(0.5, size=5000, random_state=np.random.default_rng(1))
    found = tails.describe_tail(x)
    assert found.heavy is True
    assert found.detrended.xi_interval[0] < 0.5 < found.detrended.xi_interval[1] + 0.1
    assert "heavy-tailed around their level" in found.verdict


def test_a_heavy_tail_on_a_decaying_scale_is_still_heavy():
    rng = np.random.default_rng(2)
    x = np.exp(-np.arange(5000) / 1500) * (1 + stats.genpareto.rvs(0.5, size=5000, random_state=rng))
    assert tails.describe_tail(x).heavy is True


def test_lognormal_noise_of_any_spread_is_not_heavy():
    rng = np.random.default_rng(3)
    for spread in (0.1, 0.5, 1.0):
        assert tails.describe_tail(np.exp(spread * rng.standard_normal(3000))).heavy is False


def test_the_gaussian_null_predicts_its_own_clip_rate():
    rng = np.random.default_rng(4)
    norm = np.sqrt(rng.chisquare(40, 20_000) / 40)
    threshold = float(np.quantile(norm, 0.9))
    null = tails.describe_tail(norm, threshold=threshold).gaussian_null
    assert null.effective_dimension == pytest.approx(20.0 * 2, rel=0.1)
    assert null.expected_clip_rate == pytest.approx(0.1, abs=0.012)
    assert null.observed_clip_rate == pytest.approx(0.1, abs=0.001)


def test_the_gaussian_null_of_a_thousand_dimensions_never_reaches_twice_its_norm():
    # g ~ N(0, I/1000) in 1,000 dimensions, C = 2: P(chi-square_1000 > 4000) is zero to all digits that matter.
    rng = np.random.default_rng(9)
    norm = np.sqrt(rng.chisquare(1000, 4000) / 1000)
    null = tails.describe_tail(norm, threshold=2.0).gaussian_null
    assert null.effective_dimension == pytest.approx(1000, rel=0.1)
    assert null.expected_clip_rate < 1e-100
    assert null.observed_clip_rate == 0.0
    # Ten outliers are what the null is checked against: they must not widen it.
    norm[np.arange(10) * 390 + 100] = 3.0
    null = tails.describe_tail(norm, threshold=2.0).gaussian_null
    assert null.effective_dimension == pytest.approx(1000, rel=0.1)
    assert null.expected_clip_rate < 1e-100
    assert null.observed_clip_rate == pytest.approx(10 / 4000)


def test_unit_does_not_matter():
    x = np.exp(0.3 * np.random.default_rng(5).standard_normal(2000))
    a, b = tails.describe_tail(x), tails.describe_tail(4096.0 * x)
    assert a.detrended.xi == pytest.approx(b.detrended.xi, rel=1e-6)
    assert a.heavy == b.heavy
    assert a.gaussian_null.effective_dimension == pytest.approx(b.gaussian_null.effective_dimension, rel=1e-9)


def test_the_best_of_bad_fits_is_said():
    rng = np.random.default_rng(6)
    x = rng.permutation(np.concatenate((rng.normal(1, 0.01, 2000), rng.normal(3, 0.01, 2000))))
    assert "no family fits" in tails.describe_tail(x).detrended.verdict


def test_few_norms_give_no_verdict():
    found = tails.describe_tail(np.exp(np.random.default_rng(0).standard_normal(150)))
    assert found.heavy is None
    assert found.reason


def test_warmup_is_left_out():
    rng = np.random.default_rng(7)
    x = np.exp(0.2 * rng.standard_normal(2000))
    y = x.copy()
    y[:200] *= 1000
    assert tails.describe_tail(y, warmup_end=200).raw.n == 1800
    assert tails.describe_tail(y, warmup_end=200).detrended.xi == tails.describe_tail(x, warmup_end=200).detrended.xi


def test_detrending_holds_what_floats_can():
    norm = np.full(500, 1e-69)
    norm[250] = 1e69
    found = tails.detrended(norm)
    assert found[250] == pytest.approx(1e138, rel=1e-6)
    np.testing.assert_allclose(np.delete(found, 250), 1.0)


def test_detrending_takes_the_level_out_and_leaves_what_is_no_norm_out():
    step = np.arange(1000)
    noise = np.exp(0.1 * np.random.default_rng(0).standard_normal(1000))
    norm = noise * np.exp(-step / 200)
    norm[[5, 6]] = [np.nan, 0.0]
    found = tails.detrended(norm, warmup_end=100)
    assert found.size == 900
    assert tails.detrended(norm).size == 998
    assert np.log(found).std() == pytest.approx(0.1, rel=0.1)
    assert np.median(found) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("sigma", [0.2, 1.0])
def test_the_index_of_a_lognormal_is_that_of_its_own_tail(sigma):
    p = (np.arange(4000) + 0.5) / 4000
    exact = np.exp(sigma * stats.norm.ppf(p))
    implied = tails.lognormal_index(exact, 0.9)
    own = gpd.fit_gpd(exact[3600:] - exact[3600]).xi
    assert implied == pytest.approx(own, abs=0.03)
    assert tails.lognormal_index(np.ones(100), 0.9) is None


def test_the_dimension_of_gaussian_noise_is_half_over_the_squared_variation():
    rng = np.random.default_rng(1)
    for dimension in (8, 200):
        norm = np.sqrt(rng.chisquare(dimension, 20_000))
        null = tails.describe_tail(norm, threshold=float(np.quantile(norm, 0.95))).gaussian_null
        assert null.effective_dimension == pytest.approx(dimension, rel=0.15)
        assert null.observed_clip_rate == pytest.approx(0.05, abs=1e-4)
        assert null.expected_clip_rate == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(("n", "judged"), [(199, False), (200, True)])
def test_two_hundred_norms_are_needed(n, judged):
    norm = np.exp(0.3 * np.random.default_rng(2).standard_normal(n + 50))
    found = tails.describe_tail(norm, warmup_end=50)
    assert (found.reason is None) == judged


@pytest.mark.parametrize("place", [10, 30, 100])
def test_an_exponential_tail_over_a_narrow_body_is_not_heavy(place):
    # Its index of 0 lies well above that of its own body, but not above zero.
    x = place + np.random.default_rng(0).exponential(size=10_000)
    found = tails.view_tail(x, power_law=False)
    implied = tails.lognormal_index(np.sort(x), found.pareto_tail.chosen.level)
    error = found.pareto_tail.chosen.fit.xi_error * found.clustering.widening
    assert found.xi - implied > max(2.33 * error, 0.1)
    assert found.xi_interval[0] < 0 < found.xi_interval[1]
    assert found.heavy is False


def test_a_body_without_spread_implies_no_index():
    tail = 3.0 + np.random.default_rng(0).exponential(size=60)
    for level in (1.0, 3.0, 0.1, 7e5):
        assert tails.lognormal_index(np.full(100, level), 0.9) is None
    assert tails.lognormal_index(np.sort(np.append(np.full(900, 3.0), tail)), 0.9) is None


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("sigma", [1e-4, 0.3, 20.0])
def test_the_index_of_a_body_is_that_of_a_normal_in_logarithms_in_any_unit(sigma, unit):
    z = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    p = 0.9 + 0.1 * (np.arange(200) + 0.5) / 200
    excess = np.expm1(sigma * (stats.norm.ppf(p) - stats.norm.ppf(0.9)))
    assert tails.lognormal_index(unit * np.exp(sigma * z), 0.9) == pytest.approx(gpd.fit_gpd(excess).xi, abs=0.01)


def test_the_long_raw_norms_get_no_power_law_and_only_the_detrended_ones_a_chance(monkeypatch):
    norm = np.exp(0.3 * np.random.default_rng(0).standard_normal(301))
    monkeypatch.setattr(tails, "LARGE", 300)
    long, short = tails.describe_tail(norm), tails.describe_tail(norm[:300], bootstrap=5)
    assert long.raw.power_law is None
    assert long.detrended.power_law is not None
    assert short.raw.power_law.p_value is None
    assert short.detrended.power_law.p_value is not None


def test_the_family_is_the_first_of_the_detrended_ones():
    norm = np.exp(0.3 * np.random.default_rng(0).standard_normal(300))
    found = tails.describe_tail(norm)
    assert found.family == found.detrended.fits[0].family
    assert found.detrended.fits[0].aic < found.detrended.fits[1].aic
    assert tails.describe_tail(norm[:10]).family is None


def test_without_a_threshold_nothing_exceeds_it():
    found = tails.view_tail(np.exp(np.random.default_rng(0).standard_normal(250)), power_law=False)
    assert (found.pareto_tail.chosen, found.xi, found.xi_interval, found.heavy) == (None, None, None, None)
    assert found.clustering.exceedances == 0
    nothing = tails.view_tail(np.zeros(0), power_law=False)
    assert (nothing.n, nothing.fits, nothing.heavy) == (0, (), None)


@pytest.mark.parametrize(
    ("raw", "around", "begins"),
    [
        (True, False, "The raw norms look heavy-tailed only because their level drifts"),
        (True, True, "The norms are heavy-tailed around their level"),
        (False, True, "The norms are heavy-tailed around their level"),
        (False, False, "The norms are not heavy-tailed"),
        (None, False, "Too few norms"),
        (False, None, "Too few norms"),
    ],
)
def test_both_verdicts_in_a_sentence(raw, around, begins):
    found = tails._sentence(SimpleNamespace(heavy=raw), SimpleNamespace(heavy=around, verdict="as said"))
    assert found.startswith(begins)
    assert ("as said" in found) == (None not in (raw, around))


def test_the_dimension_does_not_depend_on_where_the_level_lies():
    # The level may be a mean rather than a median: the spread is that around the median of what is left.
    log = 0.1 * np.random.default_rng(0).standard_normal(500)
    norm, level = np.exp(log), np.zeros(500)
    one = tails.gaussian_null(norm, log, level, None).effective_dimension
    residual = np.abs(log - np.median(log))
    assert one == pytest.approx(0.5 / (1.4826022185056018 * np.median(residual)) ** 2)
    for shift in (-0.3, 0.05, 2.0):
        assert tails.gaussian_null(norm, log, level + shift, None).effective_dimension == pytest.approx(one)


@pytest.mark.parametrize("size", [1000, 16_384, 40_000])
def test_the_expected_rate_is_the_mean_over_the_levels(size):
    rng = np.random.default_rng(0)
    level = rng.permutation(np.repeat([0.0, 0.5], size // 2))
    log = level + 0.1 * rng.standard_normal(size)
    null = tails.gaussian_null(np.exp(log), log, level, 1.2)
    d = null.effective_dimension
    # The median of the root of a chi-square is close to the root of d - 2/3.
    one = [stats.chi2(d).sf((1.2 / np.exp(part)) ** 2 * (d - 2 / 3)) for part in (0.0, 0.5)]
    assert null.expected_clip_rate == pytest.approx(np.mean(one), abs=0.01)
    assert null.observed_clip_rate == pytest.approx(np.mean(np.exp(log) > 1.2))


@pytest.mark.parametrize("spread", [0.72, 0.75, 2.0])
def test_of_less_than_one_dimension_the_median_is_three_tenths_of_them(spread):
    log = stats.norm.ppf((np.arange(999) + 0.5) / 999) * spread
    null = tails.gaussian_null(np.exp(log), log, np.zeros(999), 1.5)
    d = null.effective_dimension
    assert d == pytest.approx(0.5 / spread**2, rel=0.01)
    assert null.expected_clip_rate == pytest.approx(stats.chi2(d).sf(1.5**2 * max(d - 2 / 3, 0.3 * d)), abs=1e-6)


def test_levels_count_by_their_quantiles():
    level = np.random.default_rng(0).permutation(np.linspace(-1.0, 1.0, 1001))
    log = level + 0.1 * np.random.default_rng(1).standard_normal(1001)
    null = tails.gaussian_null(np.exp(log), log, level, 1.2)
    d = null.effective_dimension
    some = np.linspace(-1.0, 1.0, 4001)
    rate = stats.chi2(d).sf((1.2 / np.exp(some)) ** 2 * (d - 2 / 3))
    assert null.expected_clip_rate == pytest.approx(rate.mean(), abs=2e-3)
