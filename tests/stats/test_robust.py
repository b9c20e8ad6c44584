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


@pytest.mark.parametrize(
    ("n", "width"), [(0, 25), (100, 25), (519, 25), (520, 27), (1000, 51), (5000, 251), (10_020, 501), (10**6, 501)]
)
def test_the_detrending_window_is_a_twentieth_of_the_run(n, width):
    assert robust.detrending_window(n) == width


def test_windows_by_hand():
    assert [w.tolist() for w in robust.windows(5, 3, centred=True)] == [[0, 0, 1, 2, 3], [2, 3, 4, 5, 5]]
    assert [w.tolist() for w in robust.windows(5, 2, centred=False)] == [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]]
    assert [w.tolist() for w in robust.windows(3, 0, centred=True)] == [[0, 1, 2], [1, 2, 3]]
    assert [w.tolist() for w in robust.windows(3, 0, centred=False)] == [[0, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize(
    ("value", "usable"),
    [(1e-70, False), (1.1e-70, True), (1e70, False), (9e69, True), (0.0, False), (-1.0, False), (np.nan, False)],
)
def test_sizes_that_squares_can_hold(value, usable):
    assert robust.usable_sizes(np.array([value]))[0] == usable
    assert np.isnan(robust.safe_log(np.array([value]))[0]) == (not usable)


@pytest.mark.parametrize(("ddof", "min_count"), [(0, 1), (0, 3), (1, 1), (1, 5)])
@pytest.mark.parametrize("include_current", [True, False])
def test_moments_of_windows_one_by_one(ddof, min_count, include_current):
    rng = np.random.default_rng(6)
    value, weight = rng.normal(100.0, 1.0, 40), (rng.random(40) < 0.7).astype(float)
    found = robust.rolling_moments(
        value, 7, include_current=include_current, ddof=ddof, min_count=min_count, weight=weight
    )
    for i in range(40):
        end = i + 1 if include_current else i
        part = value[max(end - 7, 0) : end][weight[max(end - 7, 0) : end] > 0]
        assert found.count[i] == part.size
        if part.size < max(min_count, ddof + 1):
            assert np.isnan(found.mean[i])
            assert np.isnan(found.deviation[i])
        else:
            assert found.mean[i] == pytest.approx(part.mean())
            assert found.deviation[i] == pytest.approx(part.std(ddof=ddof), abs=1e-9)


def test_the_level_of_short_plateaus_is_their_own():
    # A plateau of fifteen steps is shorter than the window of 101, so that its medians hold the other level.
    value = 0.01 * np.random.default_rng(7).standard_normal(600)
    value[300:315] += 1.0
    level = robust.local_level(value, 101)
    np.testing.assert_allclose(level[304:311], 1.0, atol=0.05)
    np.testing.assert_allclose(level[:290], 0.0, atol=0.05)
    # Four steps are no plateau.
    value[300:315] -= 1.0
    value[300:304] += 1.0
    np.testing.assert_allclose(robust.local_level(value, 101), 0.0, atol=0.05)


def test_levels_of_long_series_are_at_most_a_sixteenth_of_the_window_old(monkeypatch):
    monkeypatch.setattr(robust, "EXACT_UP_TO", 100)
    value = np.arange(1000.0)
    exact = np.arange(1000.0) - 32.5
    for centred, shift in ((False, 0.0), (True, 32.5)):
        level = robust.rolling_levels(value, 64, (0.5,), centred=centred)[0]
        assert np.abs(level - exact - shift)[100:900].max() <= 4.0


def test_a_window_longer_than_a_long_series_has_one_level(monkeypatch):
    monkeypatch.setattr(robust, "EXACT_UP_TO", 10)
    value = np.arange(40.0)
    for centred in (True, False):
        level = robust.rolling_levels(value, 10_000, (0.5,), centred=centred)[0]
        assert level.shape == (40,)
    assert (level[2:] <= value[2:]).all()
    assert robust._stride(40, 10_000) == 2


def test_a_window_of_one_value_has_no_spread_whatever_came_before():
    value = np.concatenate((np.linspace(5.0, 9.0, 50), np.full(60, 0.1), np.full(60, 7.3), np.full(60, 0.1)))
    for include_current in (True, False):
        found = robust.rolling_moments(value, 7, include_current=include_current, ddof=1, min_count=7)
        assert (found.deviation[60:110] == 0.0).all()
        assert (found.deviation[120:170] == 0.0).all()
        assert (found.deviation[8:50] > 0.1).all()
        np.testing.assert_allclose(found.mean[60:110], 0.1, rtol=1e-12)


def test_moments_of_nothing():
    for value in (np.full(5, np.nan), np.zeros(0)):
        found = robust.rolling_moments(value, 3, include_current=True, ddof=0, min_count=1)
        assert np.isnan(found.mean).all()
        assert found.mean.size == value.size


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 64, 65])
def test_both_ways_to_select_agree_at_every_length(n):
    value = np.random.default_rng(n).permutation(n).astype(float)
    start = np.zeros(n, dtype=np.int64)
    stop = np.arange(1, n + 1)
    ranks = [np.zeros(n, dtype=np.int64), (stop - 1) // 2, stop - 1]
    found = robust._select(value.astype(np.int32), start, stop, ranks)
    sorts = robust._sort_windows(value, start, stop, ranks)
    np.testing.assert_array_equal(found, sorts)
    np.testing.assert_array_equal(
        sorts, [[np.sort(value[:i])[r] for i, r in zip(stop, rank, strict=True)] for rank in ranks]
    )


def test_windows_leave_out_what_is_not_finite():
    value = np.array([np.nan, 3.0, 1.0, np.inf, 2.0, -np.inf, 5.0])
    start, stop = np.array([0, 0, 1, 3, 4, 2, 6, 3, 5]), np.array([1, 7, 3, 4, 7, 2, 7, 6, 6])
    found = robust.window_quantiles(value, start, stop, (0.0, 0.5, 1.0))
    kept = [np.sort(value[a:b][np.isfinite(value[a:b])]) for a, b in zip(start, stop, strict=True)]
    expected = [[k[int(p * (k.size - 1))] if k.size else np.nan for k in kept] for p in (0.0, 0.5, 1.0)]
    np.testing.assert_array_equal(found, expected)
