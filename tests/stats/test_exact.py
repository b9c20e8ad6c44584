"""Methods against their definitions, written out plainly or by scipy, to the digits that the fast ways promise."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from gradlens.stats import (
    clipping,
    coincidence,
    comparison,
    conformal,
    dependence,
    families,
    gpd,
    indices,
    normal,
    powerlaw,
    robust,
    search,
    spikes,
    tails,
    thresholds,
    warmup,
)
from gradlens.stats.histograms import share_beyond
from gradlens.stats.multiple import holm
from gradlens.stats.student import binomial_sf


def ar1(phi, n, seed=0):
    return lfilter([1], [1, -phi], np.random.default_rng(seed).standard_normal(n + 200))[200:]


# --- clip rates


@pytest.mark.parametrize("above", [0, 8, 40, 80])
def test_effective_steps_are_the_sum_over_all_lags(above):
    # n / (1 + 2 sum (1 - k/n) rho_k), rho_k of the indicator by the bivariate normal; a rate of 0 or 1 is half a step off it.
    n, norm = 80, np.exp(ar1(0.9, 80))
    threshold = np.concatenate((np.sort(norm), [np.inf]))[n - above] - 1e-9
    rate = min(max(above / n, 0.5 / n), 1 - 0.5 / n)
    scores = stats.norm.ppf((stats.rankdata(norm) - 0.5) / n)
    rho = clipping.autoregressive_correlation(dependence.autocovariance(scores, 20), n, n - 1)
    both = [stats.multivariate_normal([0, 0], [[1, r], [r, 1]]).cdf([stats.norm.ppf(rate)] * 2) for r in rho]
    correlation = (np.array(both) - rate**2) / (rate * (1 - rate))
    expected = n / (1 + 2 * np.sum((1 - np.arange(1, len(rho) + 1) / n) * correlation))
    indicator = dependence.effective_size((norm > threshold).astype(float))
    assert clipping.effective_steps(norm, threshold) == pytest.approx(min(expected, indicator), rel=1e-3)


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.8, 0.95, -0.6])
def test_a_first_order_goes_on_while_it_counts(rho):
    found = clipping.autoregressive_correlation(rho ** np.arange(6.0), 1000, 5000)
    phi = rho + (1 + 3 * rho) / 1000
    assert abs(phi) ** found.size < 1e-5 <= abs(phi) ** (found.size - 1)
    assert found[-1] == pytest.approx(phi**found.size)


@pytest.mark.parametrize("events", [1, 2, 7, 50, 100, 200, 201, 300, 1000, 5000])
def test_limits_of_return_periods(events):
    low, high = stats.chi2.ppf(0.025, 2 * events) / 2, stats.chi2.ppf(0.975, 2 * events + 2) / 2
    found = clipping.return_period(events, 10_000)
    assert found.steps_between == 10_000 / events
    precision = 1e-9 if events <= 200 else 3e-5
    assert found.interval == pytest.approx((10_000 / high, 10_000 / low), rel=precision)


# --- coincidence


def test_the_nearest_event_counts_and_of_two_the_earlier():
    table = coincidence._lag_table(np.array([10, 11, 15, 200]), 300)
    assert table[8:18].tolist() == [-2, -1, 0, 0, 1, 2, -1, 0, 1, 2]
    assert (table[79], table[80], table[135], table[136], table[264], table[265]) == (64, 127, 127, -64, 64, 127)


def statistics_of_shifts(norm, loss, n, draws=300):
    table, weights = coincidence._lag_table(np.array([norm]), n), coincidence._weights(1)
    return coincidence._shifted(np.array([loss]), table, weights, (0, n), draws, np.random.default_rng(0))


def test_shifts_stay_within_windows_of_a_twentieth():
    # 10,000 steps have windows of 500: an event at 250 comes to 450, and never to 600.
    assert statistics_of_shifts(450, 250, 10_000).max() > 0
    assert statistics_of_shifts(600, 250, 10_000).max() == 0
    # 1,000 have windows of 200, and 150 are one.
    assert statistics_of_shifts(150, 20, 1000).max() > 0
    assert statistics_of_shifts(300, 20, 1000).max() == 0
    assert statistics_of_shifts(149, 5, 150).max() > 0


def test_draws_in_parts_are_as_many(monkeypatch):
    monkeypatch.setattr(coincidence, "_CHUNK", 16)
    assert statistics_of_shifts(50, 20, 1000, draws=40).shape == (40, 3)


# --- comparison


@pytest.mark.parametrize(
    ("difference", "weight", "change", "error", "df"),
    [
        ([1.0, 3.0], [1.0, 1.0], 2.0, 1.0, 0.0),
        ([0.0, 0.0, 3.0], [5.0, 5.0, 5.0], 1.0, 1.0, 2.0),
        # Shares 1/4, 1/4, 1/2; three times share times deviation is -1.875, -.375, 2.25, with mean square 2.90625.
        ([0.0, 2.0, 4.0], [1.0, 1.0, 2.0], 2.5, math.sqrt(2.90625 / 2), 2.0),
        ([7.0], [1.0], 7.0, 0.0, 0.0),
    ],
)
def test_blocks_by_hand(difference, weight, change, error, df):
    found = comparison.block_difference(np.array(difference), np.array(weight))
    assert (found.change, found.standard_error, found.df) == pytest.approx((change, error, df))
    if df:
        half = stats.t.ppf(0.975, df) * error
        assert found.interval == pytest.approx((change - half, change + half))
        assert found.p_two_sided == pytest.approx(2 * stats.t.sf(change / error, df))
    else:
        assert (found.interval, found.p_higher, found.p_two_sided) == ((-math.inf, math.inf), 1.0, 1.0)


def test_nothing_has_no_freedom():
    found = comparison.block_difference(np.array([math.nan]), np.ones(1))
    assert (found.df, found.p_higher, found.p_two_sided) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("candidate", "baseline", "steps"), [(12, 3, (1000, 1000)), (0, 4, (200, 800)), (5, 0, (100, 300)), (0, 0, (5, 5))]
)
def test_differences_of_counts(candidate, baseline, steps):
    found = comparison.count_difference(candidate, steps[0], baseline, steps[1])
    total, share = candidate + baseline, steps[0] / sum(steps)
    higher, lower = stats.binom.sf(candidate - 1, total, share), stats.binom.cdf(candidate, total, share)
    assert found.p_higher == pytest.approx(higher)
    assert found.p_two_sided == pytest.approx(min(1.0, 2 * min(higher, lower)))
    error = math.sqrt((candidate + 0.5) / steps[0] ** 2 + (baseline + 0.5) / steps[1] ** 2)
    change = candidate / steps[0] - baseline / steps[1]
    half = stats.norm.ppf(0.975) * error
    assert found.standard_error == pytest.approx(error)
    assert found.interval == pytest.approx((change - half, change + half))


@pytest.mark.parametrize("count", [-1, 0, 1, 4, 5, 6])
def test_chances_of_counts(count):
    assert binomial_sf(count, 5, 0.3) == pytest.approx(stats.binom.sf(count - 1, 5, 0.3))


def test_either_side_of_a_divergence():
    assert comparison.permutation_p(np.arange(5.0), np.array([1.0])) is None
    low = np.full(5, -3.0)
    assert comparison.first_divergence(low, np.ones(5), sigmas=3, in_a_row=5) is None
    lost = np.array([0.0, math.nan, math.inf, math.nan])
    assert comparison.first_divergence(lost, np.ones(4), sigmas=3, in_a_row=3) == 1


def test_adjusted_p_values_end_at_one():
    assert holm([0.9, 0.8, None]) == (1.0, 1.0, None)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    # Twice the weight: .02 / 2 comes first, with three shares over two; then .02 alone.
    assert holm([0.02, 0.02], [2.0, 1.0]) == pytest.approx((0.03, 0.03))


def test_the_bound_when_nearly_all_places_are_red():
    others = np.arange(1.0, 20.0)[:, None]
    found = conformal.rank_among(np.array([10.0]), others, alpha=0.95, upward=np.array([False]), least=np.array([1e-9]))
    # Of twenty places nineteen are red: the row must pass the smallest of the others, which is no deviation at all.
    assert found.bound == 0.0
    assert found.p_value == 1.0


# --- dependence


@pytest.mark.parametrize(("n", "ceiling"), [(10, 4), (12, 4)])
def test_blocks_are_at_most_a_third_of_a_short_series(n, ceiling):
    # The least of 3 sqrt(n) and n / 3, rounded up; one slow wave reaches it.
    found = dependence.block_length(np.sin(2 * np.pi * np.arange(n) / n))
    assert (found.stationary, found.circular) == (ceiling, ceiling)


# --- families and tails


@pytest.mark.parametrize(("n", "size"), [(200, 200.0), (200, 50.0), (4000, 40_000.0)])
def test_limits_of_distances(n, size):
    x = np.exp(np.random.default_rng(0).standard_normal(n))
    points = {"lognormal": 0.895, "weibull": 0.874, "gamma": 0.895, "exponential": 1.094, "power_law_cutoff": 0.895}
    for fit in families.fit_families(x, n_effective=size):
        expected = max(points[fit.family] / (math.sqrt(size) + 0.85 / math.sqrt(size)), 0.02)
        assert fit.ks_limit == pytest.approx(expected)
        assert fit.adequate == (fit.ks <= expected)


def test_one_value_that_differs_is_spread():
    assert families.fit_families(np.append(np.ones(30), 2.0))
    assert families.fit_families(np.append(np.ones(30), 0.5))
    assert not families.fit_families(np.append(np.ones(30), 1.0 + 1e-12))


@pytest.mark.parametrize("theta", [0.0, 1e-9, -1e-9, 1e-7, 5e-6, -5e-6, 9.9e-6, 1.1e-5, -1.1e-5, 1e-4, 0.3])
def test_the_slope_of_the_profile_near_an_exponential_tail(theta):
    y = np.random.default_rng(1).exponential(size=400)
    if theta:
        t, wide = np.longdouble(theta), y.astype(np.longdouble)
        derivative, index = np.mean(wide / (1 + t * wide)), np.mean(np.log1p(t * wide))
        # xi = theta m1 - theta^2 m2 / 2 + ...: below 1e-7 even 64 bits of fraction are too few.
        exact = (
            derivative / index - 1 / t + derivative if abs(theta) > 1e-7 else y.mean() - 0.5 * np.mean(y * y) / y.mean()
        )
    else:
        exact = y.mean() - 0.5 * np.mean(y * y) / y.mean()
    assert gpd._slope(y, theta) == pytest.approx(float(exact), abs=3e-7 if abs(theta) == 1e-7 else 2e-9)


def test_a_tail_is_rejected_where_no_threshold_fits():
    p = (np.arange(4000) + 0.5) / 4000
    assert not gpd.peaks_over_threshold(stats.genpareto(0.3).ppf(p)).rejected
    # Steps of which each threshold has some above it; one alone is uniform, and fits with an end.
    steps = np.repeat(np.arange(1.0, 41.0), 100) + np.tile(np.linspace(0, 0.01, 100), 40)
    found = gpd.peaks_over_threshold(steps, levels=(0.85, 0.9))
    assert found.rejected
    assert [t.fit.p for t in found.tried] == [1e-12, 1e-12]
    assert found.chosen is found.tried[1]
    assert found.band == (found.chosen.fit.xi, found.chosen.fit.xi)
    # The last one accepted: ForwardStop takes the first two for chance no more.
    found = gpd.peaks_over_threshold(steps, levels=(0.85, 0.9, 0.98))
    assert not found.rejected
    assert found.chosen is found.tried[2]


def test_a_quantile_must_lie_above_the_threshold():
    excess = stats.expon.ppf((np.arange(128) + 0.5) / 128)
    assert gpd.tail_quantile(excess, 3.0, 1024, 0.875) is None
    found = gpd.tail_quantile(excess, 3.0, 1024, 0.9375)
    # Half as many as lie above the threshold: the median of the excesses.
    assert found.value == pytest.approx(3 + math.log(2), rel=0.02)
    assert found.interval[0] < found.value < found.interval[1]


def guillou_hall(x, share=0.5):
    """The rule as it is written in the docstring, one k at a time."""
    highest = min(int(share * len(x)), len(x) - 1)
    u = [i * (math.log(x[i - 1]) - math.log(x[i])) for i in range(1, highest + 1)]

    def t(k):
        mean = sum(u[:k]) / k
        return math.sqrt(3 / k**3) * sum((k - 2 * i + 1) * u[i - 1] for i in range(1, k + 1)) / mean

    trend = [t(k) for k in range(1, highest + 1)]
    able = [k for k in range(10, highest + 1) if 1.5 * k <= highest]
    for k in able:
        near = trend[k - k // 2 - 1 : k + k // 2]
        if math.sqrt(sum(v * v for v in near) / len(near)) >= 1.25:
            return k
    return able[-1] if able else highest


@pytest.mark.parametrize("n", [20, 28, 30, 32, 60, 200])
@pytest.mark.parametrize("seed", range(6))
def test_how_many_order_statistics_are_a_tail(n, seed):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.pareto(2.0, n) + (3.0 if seed % 2 else 1.0) * rng.random(n))[::-1]
    assert indices.guillou_hall(x) == guillou_hall(x)
    assert indices.guillou_hall(x, 0.8) == guillou_hall(x, 0.8)


@pytest.mark.parametrize("values", [[1.0, 2.0, 2.0, 4.0], [1.0, 1.0, 1.0, 3.0, 3.0, 9.0], [1.0, 1.5, 2.5, 8.0]])
def test_distances_of_a_given_power_law_with_ties(values):
    x = np.array(values)
    found = powerlaw.fit_power_law(x, xmin=1.0, alternatives=False)
    exponent = len(x) / np.log(x).sum()
    gaps = [max(abs(1 - v**-exponent - np.mean(x < v)), abs(np.mean(x <= v) - 1 + v**-exponent)) for v in np.unique(x)]
    assert (found.alpha, found.ks, found.n_tail) == pytest.approx((1 + exponent, max(gaps), len(x)))
    assert found.p_value is None


@pytest.mark.parametrize(("n", "known"), [(9, False), (10, True)])
def test_ten_values_are_a_power_law(n, known):
    found = powerlaw.fit_power_law(2.0 ** np.arange(n))
    assert (found.reason is None) == known
    assert (found.n_tail, found.xmin) == ((10, 1.0) if known else (0, None))


def test_exceedances_are_strictly_above_the_threshold():
    value = np.exp(np.random.default_rng(2).standard_normal(3000))
    found = tails.view_tail(value, power_law=False)
    above = np.flatnonzero(value > found.pareto_tail.chosen.threshold)
    assert found.clustering.exceedances == above.size
    assert found.clustering.theta == dependence.extremal_index(above).theta


# --- levels, moments and searches


@pytest.mark.parametrize(("n", "width"), [(0, 25), (519, 25), (520, 27), (1000, 51), (10_000, 501), (10**6, 501)])
def test_a_twentieth_of_the_run_is_detrended_over(n, width):
    assert robust.detrending_window(n) == width


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_moments_in_any_unit(unit):
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    found = robust.rolling_moments(x * unit, 3, include_current=True, ddof=1, min_count=2)
    assert found.count.tolist() == [1, 2, 3, 3, 3]
    np.testing.assert_allclose(found.mean / unit, [np.nan, 1.5, 7 / 3, 14 / 3, 28 / 3], rtol=1e-9)
    expected = [np.nan, *(np.std(x[max(i - 2, 0) : i + 1], ddof=1) for i in range(1, 5))]
    np.testing.assert_allclose(found.deviation / unit, expected, rtol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 12, 13, 14, 63, 64, 70])
def test_levels_of_short_curves_have_their_length(n):
    assert robust.local_level(np.full(n, 2.0), 25).tolist() == [2.0] * n
    rising = robust.median_of_nine(np.arange(float(n)))
    assert rising.tolist() == robust.rolling_median(np.arange(float(n)), 9, centred=True).tolist()


def test_what_is_in_order_is_not_copied():
    x = np.array([1.0, 2.0, 2.0, 3.0])
    assert robust.in_order(x) is x
    assert robust.in_order(x[::-1]).tolist() == x.tolist()


@pytest.mark.parametrize(("lowest", "place"), [(0.3, 0.381966), (0.7, 0.618034)])
def test_a_search_ends_at_the_better_of_its_last_two_places(lowest, place):
    asked = []

    def function(x):
        asked.append(x)
        return (x - lowest) ** 2

    assert search.golden_section(function, 0.0, 1.0, 0) == pytest.approx((place, (place - lowest) ** 2), rel=1e-5)
    assert len(asked) == 2
    x, value = search.golden_section(function, 0.0, 1.0, 32)
    assert (x, value) == (pytest.approx(lowest, abs=1e-6), (x - lowest) ** 2)
    assert len(asked) == 2 + 2 + 32
    assert value == min((a - lowest) ** 2 for a in asked)


# --- spikes


def test_a_tail_without_spread_has_the_index_of_the_bias_alone():
    z = np.concatenate((np.random.default_rng(0).uniform(-2, 1, 400), np.full(60, 2.0)))
    # Neither an estimate nor an error: 0 trusted in full, and .10 added.
    assert spikes.z_limit(z, 0.5) == (4.0, pytest.approx(0.10))
    assert spikes.z_limit(np.where(z == 2.0, 7.0, z), 0.5) == (pytest.approx(7.0), pytest.approx(0.10))


def test_half_a_false_alarm_is_expected():
    curve = 2.0 + 0.1 * np.random.default_rng(0).standard_normal(300)
    assert spikes.find_spikes(curve).expected_false_alarms == 0.5
    assert spikes.find_spikes(curve, false_alarms=2.0).expected_false_alarms == 2.0


def test_nothing_is_flagged_where_nothing_varies():
    assert not spikes.olmo_flags(np.ones(200)).any()
    leaves = np.ones(200)
    leaves[150] = 9.0  # not a matter of deviations: there are none
    assert spikes.olmo_flags(leaves)[:151].sum() == 0


# --- thresholds and warm-ups


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99, 1.0])
def test_quantiles_of_resamples(p):
    value = np.random.default_rng(3).standard_normal(150)
    found = thresholds._resampled_quantile(value, p, 40, np.random.default_rng(4))
    block = dependence.block_length(value).stationary
    drawn = value[dependence.stationary_bootstrap(150, block, 40, np.random.default_rng(4))]
    np.testing.assert_allclose(found, np.quantile(drawn, p, axis=1), rtol=1e-12)


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.1, 1.1])
def test_quantiles_lie_strictly_between(quantile):
    with pytest.raises(ValueError, match="strictly between"):
        thresholds.suggest_level(np.ones(300), quantile=quantile)


@pytest.mark.parametrize(
    ("lr", "how", "index", "reason"),
    [
        (np.zeros(100), "norms", 0, "the first norms are already"),
        (np.ones(100), "learning_rate", 0, "the learning rate starts at its peak"),
        (np.minimum(np.arange(100) / 10, 1.0), "learning_rate", 10, "the learning rate reaches 99%"),
        (np.arange(100.0), "learning_rate", 50, "the learning rate rises for more than half"),
        (np.minimum(np.arange(100) / 50, 1.0), "learning_rate", 50, "the learning rate reaches"),
        (np.full(100, np.nan), "norms", 0, "the first norms"),
        (np.array([1.0] + [np.nan] * 99), "norms", 0, "the first norms"),
    ],
)
def test_where_a_warmup_ends(lr, how, index, reason):
    found = warmup.find_warmup_end(lr, np.tile([1.0, 1.1], 50))
    assert (found.how, found.index) == (how, index)
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("rate", "carried"),
    [
        ([math.nan, math.nan, 1.0, math.nan, 2.0], [1.0, 1.0, 1.0, 1.0, 2.0]),
        ([3.0, math.nan], [3.0, 3.0]),
        ([math.nan, math.inf], None),
    ],
)
def test_a_missing_rate_is_the_one_before(rate, carried):
    found = warmup._carry_forward(np.array(rate))
    assert (None if found is None else found.tolist()) == carried


def effective_size(x):
    """n gamma_0 over the sum of all covariances that count, lag by lag, with the bandwidth of Politis (2003)."""
    n, longest, c = len(x), min(1000, len(x) // 2), x - x.mean()
    gamma = [float(c[: n - k] @ c[k:]) / n for k in range(longest + 1)]
    bound, run = 2 * math.sqrt(math.log10(n) / n), max(5, math.ceil(math.sqrt(math.log10(n))))
    quiet = [abs(g / gamma[0]) < bound for g in gamma[1:]]
    starts = [m for m in range(len(quiet) - run + 1) if all(quiet[m : m + run])]
    bandwidth = min(max(2 * starts[0], 1) if starts else longest, longest)
    weights = [min(1.0, max(0.0, 2 * (1 - k / bandwidth))) for k in range(1, longest + 1)]
    total = gamma[0] + 2 * sum(w * g for w, g in zip(weights, gamma[1:], strict=True))
    return min(max(n * gamma[0] / total, 1.0), n) if total > 0 else n


@pytest.mark.parametrize("n", [10, 11, 12, 25, 60, 300, 2500])
def test_effective_sizes_lag_by_lag(n):
    t = np.arange(float(n))
    curves = [ar1(phi, n, seed) for seed, phi in enumerate((0.0, 0.5, 0.9, -0.5))]
    for x in (*curves, t, np.sin(t / n * 6), np.where(t < n / 2, 0.0, 1.0), np.exp(t / n)):
        assert dependence.effective_size(x) == pytest.approx(effective_size(x), rel=1e-6)


# --- more of the parts


@pytest.mark.parametrize("t", [-300.0, -31.0, -30.0, -29.0, -5.0, 0.0, 5.0, 100.0, 1e6])
def test_logarithms_of_a_normal_tail(t):
    assert normal.log_normal_cdf(t) == pytest.approx(stats.norm.logcdf(t), rel=1e-9, abs=1e-300)
    assert normal.mills_ratio(t) == pytest.approx(math.exp(stats.norm.logpdf(t) - stats.norm.logcdf(t)), rel=1e-9)


def test_a_distance_is_given_where_it_is_asked_for():
    excess = stats.expon.ppf((np.arange(60) + 0.5) / 60)
    assert (gpd.fit_gpd(excess).anderson_darling, gpd.fit_gpd(excess).p) == (None, None)
    assert gpd.fit_gpd(excess, goodness=True).p > 0.9


def test_a_tail_that_ends_counts_as_nearly_exponential():
    # Of uniform noise the index is -1; what is used is never below -.10.
    limit, index = spikes.z_limit(np.linspace(-1.0, 5.0, 1000), 0.5)
    assert index == -0.10
    assert 5.0 < limit < 8.0


def events(z, curve, window, limit=5.0):
    n = len(z)
    scores = spikes.SpikeScores(
        z=np.array(z), curve=np.array(curve), level=np.zeros(n), spread=np.ones(n), scale="linear"
    )
    return [
        (e.index, e.length, e.recovery) for e in spikes._events(np.array(curve), scores, np.array(z), limit, window)
    ]


@pytest.mark.parametrize(
    ("window", "lengths"),
    [
        (20, [(10, 20, None), (40, 20, None)]),
        (50, [(10, 30, None), (40, 20, None)]),
        (5, [(10, 5, None), (40, 5, None)]),
    ],
)
def test_an_event_ends_with_its_window_the_next_event_or_the_run(window, lengths):
    z = np.zeros(60)
    z[[10, 40]] = 9.0
    assert events(z, np.full(60, 4.0), window) == lengths


def test_an_event_ends_where_the_curve_is_back():
    z, curve = np.zeros(60), np.full(60, 4.0)
    z[[10, 12, 22, 40]] = 9.0  # two steps and ten apart are one event, eighteen are two
    curve[25:35] = 2.4  # below half of the limit
    assert events(z, curve, 50) == [(10, 15, 25), (40, 20, None)]
    curve[25:35] = 2.6
    assert events(z, curve, 50) == [(10, 30, None), (40, 20, None)]


def local_level(x, window):
    """The rule of the docstring, one step at a time; of an even number of values the lower median."""

    def middle(values):
        return sorted(values)[(len(values) - 1) // 2] if len(values) else math.nan

    def around(values, i, half):
        return values[max(i - half, 0) : i + half + 1]

    n, half = len(x), max(window // 2, 5)
    centred = [middle(around(x, i, window // 2)) for i in range(n)]
    away = [abs(v - c) for v, c in zip(x, centred, strict=True)]
    found = []
    for i in range(n):
        spread = robust.MAD_TO_SIGMA * middle(around(away, i, window // 2))
        before, after, here = middle(x[max(i - half, 0) : i]), middle(x[i + 1 : i + 1 + half]), middle(around(x, i, 4))
        level = centred[i]
        if abs(before - after) > 1.5 * spread:
            level = before if abs(here - before) <= abs(here - after) else after
        found.append(here if abs(here - level) > 2.0 * spread else level)
    return found


@pytest.mark.parametrize("window", [9, 25, 41])
def test_levels_step_by_step(window):
    noise = np.random.default_rng(5).standard_normal(220)
    noise[100:] += 4.0
    noise[150:156] += 9.0
    np.testing.assert_array_equal(robust.local_level(noise, window), local_level(noise.tolist(), window))


def test_a_narrow_sample_is_a_power_law_too():
    # Logarithms that add up to less than one.
    x = 1.0 + 1e-4 * np.arange(50.0)
    found = powerlaw.fit_power_law(x, alternatives=False)
    assert found.reason is None
    tail = x[x >= found.xmin]
    assert found.alpha == pytest.approx(1 + len(tail) / np.log(tail / found.xmin).sum())


@pytest.mark.parametrize(("n", "known"), [(1, False), (2, True), (3, True)])
def test_two_norms_have_a_dimension(n, known):
    log = np.array([0.0, 0.2, 0.1])[:n]
    assert (tails.gaussian_null(np.exp(log), log, np.zeros(n), None).effective_dimension is not None) == known


def test_two_rates_have_a_peak():
    norm = np.ones(2)
    assert warmup.find_warmup_end(np.array([0.5, 1.0]), norm).how == "learning_rate"
    assert warmup.find_warmup_end(np.array([np.nan, 1.0]), norm).how != "learning_rate"


def test_flat_stretches_between_a_fall_and_a_rise_stay():
    direction = np.array([-1, 0, 1, 0, -1, 0, 0, 0, 0])
    assert warmup._steps_as_decay(direction, 3).tolist() == direction.tolist()


@pytest.mark.parametrize(
    ("edges", "limit", "share"),
    [
        ([-10.0, 10.0], 1.0, 0.9),
        ([5.0, 10.0], 1.0, 1.0),
        ([-10.0, -5.0], 1.0, 1.0),
        ([0.0, 2.0], 1.0, 0.5),
        ([-4.0, 0.0], 1.0, 0.75),
        ([-1.0, 1.0], 1.0, 0.0),
        ([2.0, 2.0], 1.0, 1.0),
        ([-math.inf, 0.0], 1.0, 1.0),
    ],
)
def test_shares_of_one_bucket(edges, limit, share):
    assert share_beyond([(np.array(edges), np.array([4.0]))], limit) == pytest.approx(share)


@pytest.mark.parametrize("n", [0.5, 1.0, 2.0])
def test_a_rate_of_less_than_two_steps_has_an_interval(n):
    # Wilson (1927): of a rate of 0 from 0 to z^2 / (n + z^2).
    z = stats.norm.ppf(0.975)
    assert clipping.wilson_interval(0.0, n) == (0.0, pytest.approx(z * z / (n + z * z)))
    assert clipping.wilson_interval(1.0, n) == (pytest.approx(n / (n + z * z)), 1.0)


@pytest.mark.parametrize(
    ("scale", "level", "size"),
    [("linear", 2.0, 7.0), ("linear", 0.0, 9.0), ("log", math.log(3.0), 3.0), ("log", 0.0, 9.0)],
)
def test_how_large_a_spike_is(scale, level, size):
    # Beyond its level, and on the scale of logarithms times its level.
    z = np.zeros(30)
    z[10] = 9.0
    scores = spikes.SpikeScores(z=z, curve=np.zeros(30), level=np.full(30, level), spread=np.ones(30), scale=scale)
    (event,) = spikes._events(np.full(30, 9.0), scores, z, 5.0, 20)
    assert (event.value, event.z, event.size) == (9.0, 9.0, pytest.approx(size))
    assert event.level == pytest.approx(math.exp(level) if scale == "log" else level)


@pytest.mark.parametrize(("raw", "around"), [(None, True), (True, None), (None, None), (False, None)])
def test_no_sentence_on_tails_of_too_few_norms(raw, around):
    found = tails._sentence(SimpleNamespace(heavy=raw), SimpleNamespace(heavy=around, verdict=""))
    assert found.startswith("Too few norms")


@pytest.mark.parametrize(
    ("flat", "phases"),
    [
        (5, [("warmup", 0, 8), ("stable", 9, 15), ("decay", 16, 45), ("stable", 46, 60)]),
        (4, None),
        (8, [("warmup", 0, 8), ("stable", 9, 18), ("decay", 19, 48), ("stable", 49, 63)]),
    ],
)
def test_the_rest_of_a_rise_joins_a_phase_of_five_rows(flat, phases):
    rate = np.concatenate((np.linspace(0, 1, 12), np.ones(flat), np.linspace(1, 0.1, 31)[1:], np.full(14, 0.1)))
    found = [(p.name, p.first, p.last) for p in warmup.find_phases(rate, rate.size, 9)]
    assert found == phases if phases else found[1][0] != "stable"


def test_chances_of_coincidences_count_half_of_the_ties():
    rng = np.random.default_rng(8)
    norm = np.sort(rng.choice(1000, 12, replace=False))
    loss = np.sort(np.concatenate((norm[:4] + 1, rng.choice(1000, 4, replace=False))))
    found = coincidence.coincidence_tests(1000, loss, norm, draws=199, seed=3)
    loss, norm = coincidence.decluster(loss), coincidence.decluster(norm)
    table, weights = coincidence._lag_table(norm, 1000), coincidence._weights(loss.size)
    null = coincidence._shifted(loss, table, weights, (0, 1000), 199, np.random.default_rng(3))
    observed = coincidence._statistics(table[loss][None, :], weights)[0]
    for k, test in enumerate((found.same_step, found.norm_leads, found.loss_leads)):
        higher, equal = (null[:, k] > observed[k]).sum(), (null[:, k] == observed[k]).sum()
        assert test.p == pytest.approx((higher + 0.5 * (equal + 1)) / 200)
        assert test.expected == pytest.approx((null[:, k] // weights[0, 0]).mean())
        assert test.count == observed[k] // weights[0, 0]


@pytest.mark.parametrize(
    ("norm", "loss", "counts", "median"),
    [
        ([100, 300, 500, 700, 900], [100, 301, 508, 709, 892], (1, 2, 1), 0.5),
        ([100, 300, 500, 700, 900], [100, 300, 500, 700], (4, 0, 0), 0.0),  # too few of one side: counts alone
        ([100, 105, 300, 500, 700, 900], [103, 300, 500, 700, 900], (4, 1, 0), 0.0),  # a chain counts at its first
    ],
)
def test_who_comes_first_by_hand(norm, loss, counts, median):
    found = coincidence.coincidence_tests(1000, np.array(loss), np.array(norm), draws=19)
    assert (found.same_step.count, found.norm_leads.count, found.loss_leads.count) == counts
    assert found.median_lag == median
    assert (found.reason is None) == (len(loss) >= 5)
    assert (found.same_step.p is None) == (len(loss) < 5)


def test_a_norm_at_the_threshold_is_not_clipped():
    norm = np.round(np.exp(0.5 * ar1(0.8, 400)), 1)
    for threshold in np.quantile(norm, [0.3, 0.6, 0.9], method="lower"):
        assert (norm == threshold).sum() > 1
        assert clipping.effective_steps(norm, threshold) == clipping.effective_steps(norm, threshold + 1e-9)
        assert clipping.effective_steps(norm, threshold) != clipping.effective_steps(norm, threshold - 1e-9)


def test_equal_norms_stay_equal_in_any_unit():
    # Nine of ten norms are one value; its logarithm rounds otherwise in each unit, and must not split it at the quantile.
    rng = np.random.default_rng(9)
    norm = np.where(rng.random(2000) < 0.97, 1.0, 2.0)
    found = [thresholds.suggest_level(norm * unit, quantile=0.9).value / unit for unit in (1.0, 3.0, 0.1, 7e-5)]
    assert found == pytest.approx([1.0] * 4, rel=1e-9)
