import numpy as np
import pytest

from gradlens.stats import robust


def naive_windows(value, window, *, centred):
    n = len(value)
    half = window // 2
    return [value[max(i - half, 0) : i + half + 1] if centred else value[max(i - window, 0) : i] for i in range(n)]


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("budget", [0, 10**9], ids=["wavelet", "sorted"])
def test_rolling_median_is_exact(monkeypatch, centred, budget):
    monkeypatch.setattr(robust, "SORTED_PER_VALUE", budget)
    value = np.random.default_rng(0).standard_normal(700)
    value[[5, 6, 7]] = np.nan
    value[100] = np.inf
    found = robust.rolling_median(value, 51, centred=centred)
    for got, part in zip(found, naive_windows(value, 51, centred=centred), strict=True):
        kept = np.sort(part[np.isfinite(part)])
        assert np.isnan(got) if kept.size == 0 else got == kept[(kept.size - 1) // 2]


def test_both_ways_to_select_agree_across_stretches(monkeypatch):
    monkeypatch.setattr(robust, "STRETCH", 256)
    value = np.round(np.random.default_rng(1).standard_normal(5000), 1)
    start, stop = robust.windows(value.size, 64, centred=False)
    monkeypatch.setattr(robust, "SORTED_PER_VALUE", 0)
    wavelet = robust.window_quantiles(value, start, stop, (0.5, 0.85))
    monkeypatch.setattr(robust, "SORTED_PER_VALUE", 10**9)
    np.testing.assert_array_equal(wavelet, robust.window_quantiles(value, start, stop, (0.5, 0.85)))


@pytest.mark.parametrize("n", [1, 8, 9, 63, 64, 70_000])
def test_the_median_of_nine_is_the_rolling_median(n):
    value = np.round(np.random.default_rng(4).standard_normal(n), 2)
    np.testing.assert_array_equal(robust.median_of_nine(value), robust.rolling_median(value, 9, centred=True))


@pytest.mark.parametrize("exact_up_to", [10**6, 1000], ids=["exact", "refreshed"])
def test_levels_after_a_step_hold_what_follows_it_only(monkeypatch, exact_up_to):
    monkeypatch.setattr(robust, "EXACT_UP_TO", exact_up_to)
    value = np.repeat([0.0, 1.0], 1500)
    before = robust.rolling_levels(value, 250, (0.5,), centred=False)[0]
    after = robust._from_before(before, value, 250)
    assert after.shape == value.shape
    assert (after[1499:-1] == 1.0).all()
    assert np.isnan(after[-1])  # nothing follows the last step
    if exact_up_to > value.size:
        mirrored = robust.rolling_levels(value[::-1], 250, (0.5,), centred=False)[0][::-1]
        np.testing.assert_array_equal(after, mirrored)


def test_quantiles_of_what_is_in_order_are_those_of_numpy():
    value = np.random.default_rng(5).standard_normal(333)
    p = np.linspace(0, 1, 41)
    assert robust.in_order(np.sort(value)) is not value
    np.testing.assert_allclose(robust.quantiles_in_order(robust.in_order(value), p), np.quantile(value, p), rtol=1e-13)


def test_growing_windows_interpolate_like_numpy():
    value = np.abs(np.random.default_rng(2).standard_normal(400))
    stop = np.arange(1, 401)
    found = robust.window_quantiles(value, np.zeros_like(stop), stop, (0.1,), interpolate=True)[0]
    np.testing.assert_allclose(found, [np.percentile(value[:i], 10) for i in stop], rtol=1e-13)


def test_a_median_keeps_the_edge_of_a_jump():
    value = np.repeat([1.0, 100.0], 200)
    np.testing.assert_array_equal(robust.log_residuals(value, 51, centred=True), np.zeros(400))


def test_log_residuals_mark_what_has_no_logarithm():
    value = np.array([1.0, np.nan, -1.0, 0.0, np.inf, 2.0, 1.0])
    residual = robust.log_residuals(value, 5, centred=True)
    np.testing.assert_array_equal(np.isnan(residual), [False, True, True, True, True, False, False])


def test_levels_of_long_series_are_refreshed_often_enough(monkeypatch):
    value = np.random.default_rng(4).standard_normal(6000)
    exact = robust.rolling_levels(value, 160, (0.5,), centred=True)
    monkeypatch.setattr(robust, "EXACT_UP_TO", 1000)
    held = robust.rolling_levels(value, 160, (0.5,), centred=True)
    assert held.shape == exact.shape
    assert np.abs(held - exact).max() < 0.25
    assert np.abs(held - exact).mean() < 0.03


@pytest.mark.parametrize("include_current", [True, False])
def test_rolling_moments_match_direct_sums(include_current):
    value = np.random.default_rng(5).standard_normal(300) + 50.0
    found = robust.rolling_moments(value, 37, include_current=include_current, ddof=1, min_count=2)
    for i in range(300):
        stop = i + 1 if include_current else i
        part = value[max(stop - 37, 0) : stop]
        assert found.count[i] == part.size
        if part.size < 2:
            assert np.isnan(found.mean[i])
        else:
            assert found.mean[i] == pytest.approx(part.mean(), rel=1e-13)
            assert found.deviation[i] == pytest.approx(part.std(ddof=1), rel=1e-10)


def test_a_huge_value_and_a_nan_are_forgotten_exactly():
    value = 1.0 + 0.1 * (-1.0) ** np.arange(400)
    value[100] = 1e12
    value[200] = np.nan
    found = robust.rolling_moments(value, 50, include_current=False, ddof=1, min_count=50)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.mean)), [*range(50), *range(201, 251)])
    assert found.deviation[160] == pytest.approx(value[110:160].std(ddof=1), rel=1e-3)


def test_empty_series():
    empty = np.zeros(0)
    assert robust.rolling_median(empty, 5, centred=True).size == 0
    assert robust.rolling_levels(empty, 5, (0.5,), centred=False).shape == (1, 0)
