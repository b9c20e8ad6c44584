import numpy as np
import pytest
from scipy.signal import lfilter

from gradlens.stats import dependence


def ar1(phi, n, seed):
    noise = np.random.default_rng(seed).standard_normal(n + 300)
    return lfilter([1], [1, -phi], noise)[300:]


def test_autocovariance_by_frames_matches_direct_sums():
    x = ar1(0.9, 30_000, 0)
    centred = x - x.mean()
    direct = [np.sum(centred[: x.size - k] * centred[k:]) / x.size for k in range(301)]
    np.testing.assert_allclose(dependence.autocovariance(x, 300), direct, atol=1e-11)
    np.testing.assert_allclose(dependence.autocovariance(x, 10), direct[:11], atol=1e-11)


def test_autocovariance_of_nothing_and_of_a_constant():
    assert dependence.autocovariance(np.zeros(0), 5).size == 0
    np.testing.assert_array_equal(dependence.autocovariance(np.full(20, 3.0), 5), np.zeros(6))


@pytest.mark.parametrize(("phi", "low", "high"), [(0.0, 18_000, 20_000), (0.5, 5_500, 8_000), (0.9, 800, 1_300)])
def test_effective_size_of_an_autoregression(phi, low, high):
    # Exact: n (1 - phi) / (1 + phi) = 20000, 6667, 1053.
    assert low <= dependence.effective_size(ar1(phi, 20_000, 1)) <= high


def test_block_length_of_the_reference_series():
    # arch 8.0, optimal_block_length; numpy's legacy generator fixes the series.
    noise = np.random.RandomState(0).standard_normal(1500)
    x = lfilter([1], [1, -0.7], noise)[500:]
    found = dependence.block_length(x)
    assert found.stationary == pytest.approx(21.75293774, abs=5e-9)
    assert found.circular == pytest.approx(24.90089765, abs=5e-9)


@pytest.mark.slow  # importing arch takes seconds
def test_block_length_matches_arch_on_other_series():
    bootstrap = pytest.importorskip("arch.bootstrap")
    for seed, phi in enumerate((0.0, 0.3, 0.6, 0.95)):
        x = ar1(phi, 900, seed)
        expected = bootstrap.optimal_block_length(x)
        found = dependence.block_length(x)
        assert found.stationary == pytest.approx(max(float(expected["stationary"].iloc[0]), 1.0), rel=1e-9)
        assert found.circular == pytest.approx(max(float(expected["circular"].iloc[0]), 1.0), rel=1e-9)


def test_block_length_of_degenerate_series():
    assert dependence.block_length(np.ones(100)).stationary == 1.0
    assert dependence.block_length(np.arange(5.0)).stationary == 1.0


def test_stationary_bootstrap_has_geometric_blocks_and_wraps():
    drawn = dependence.stationary_bootstrap(1000, 5.0, 200, np.random.default_rng(0))
    assert drawn.shape == (200, 1000)
    assert drawn.min() >= 0
    assert drawn.max() < 1000
    follows = (drawn[:, 1:] == (drawn[:, :-1] + 1) % 1000).mean()
    assert follows == pytest.approx(0.8, abs=0.01)


def test_stationary_bootstrap_variance_is_that_of_the_mean():
    x = ar1(0.6, 4000, 3)
    block = dependence.block_length(x).stationary
    means = x[dependence.stationary_bootstrap(x.size, block, 300, np.random.default_rng(0))].mean(axis=1)
    assert means.std() == pytest.approx(2.5 / np.sqrt(4000), rel=0.25)


def test_extremal_index_of_the_reference_gaps():
    found = dependence.extremal_index(np.array([3, 4, 5, 20, 21, 33]))
    assert found.theta == pytest.approx(0.8561643835616438, rel=1e-15)


@pytest.mark.parametrize(("theta", "widening"), [(0.5, 1.4142), (0.2, 2.2361)])
def test_clusters_widen_errors(theta, widening):
    size = round(1 / theta)
    starts = np.cumsum(np.random.default_rng(0).geometric(0.01, 3000)) + size * np.arange(3000)
    found = dependence.extremal_index((starts[:, None] + np.arange(size)).ravel())
    assert found.theta == pytest.approx(theta, rel=0.05)
    assert found.widening == pytest.approx(widening, rel=0.05)


def test_extremal_index_with_short_gaps_and_with_too_few():
    assert dependence.extremal_index(np.array([1, 2, 3, 5])).theta <= 1.0
    assert dependence.extremal_index(np.array([1, 9])).reason is not None


def test_neither_unit_nor_origin_counts():
    x = ar1(0.8, 2000, 5)
    for other in (1e3 * x, 1e-3 * x, x - 50.0):
        assert dependence.effective_size(other) == pytest.approx(dependence.effective_size(x), rel=1e-9)
        assert dependence.block_length(other).stationary == pytest.approx(
            dependence.block_length(x).stationary, rel=1e-9
        )


@pytest.mark.parametrize("seed", range(6))
def test_dependence_that_skips_a_lag_counts(seed):
    # Two autoregressions that take turns: nothing at odd lags, .9 to the power k at lag 2k. Exact: n (1 - .9) / (1 + .9) = 526.
    x = np.stack((ar1(0.9, 5000, 2 * seed), ar1(0.9, 5000, 2 * seed + 1)), axis=1).ravel()
    assert 300 < dependence.effective_size(x) < 900


@pytest.mark.parametrize("x", [np.arange(9.0), np.full(500, 2.0), np.zeros(0)])
def test_short_and_constant_series_are_worth_their_length(x):
    assert dependence.effective_size(x) == x.size


def test_negative_dependence_is_capped():
    assert dependence.effective_size(np.tile([1.0, -1.0], 500)) == 1000.0


@pytest.mark.parametrize(
    ("correlation", "n", "bandwidth"),
    [
        ([1.0] + [0.0] * 10, 1000, 1),  # quiet from the start
        ([1.0, 0.9, 0.8, 0.7] + [0.0] * 10, 1000, 6),  # twice the last lag that is not quiet
        ([1.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.9] + [0.0] * 10, 1000, 12),  # four quiet lags are too few
        ([1.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9] + [0.0] * 4, 1000, 2),  # five are enough
        ([1.0] + [0.9] * 10, 1000, 10),  # never quiet: the whole range
        ([1.0, 0.9, 0.8, 0.0, 0.0], 1000, 4),  # too short for five
        ([1.0, 0.9, 0.8, 0.7, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0], 1000, 8),
        ([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0], 1000, 10),
        ([1.0], 1000, 1),
        ([1.0, 0.5], 1, 1),
        ([1.0] + [-0.9] * 2 + [0.0] * 10, 1000, 4),  # the sign does not matter
        ([1.0, 0.109] + [0.0] * 9, 1000, 1),  # 2 sqrt(3 / 1000) is .10954
        ([1.0, 0.110] + [0.0] * 9, 1000, 2),
    ],
)
def test_bandwidth_by_hand(correlation, n, bandwidth):
    assert dependence.flat_top_bandwidth(np.array(correlation), n) == bandwidth


def test_flat_top_weights_by_hand():
    weights = dependence.flat_top_weights(8, np.arange(1, 10))
    assert weights.tolist() == [1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]


def politis_white(x):
    """The rule as the paper and its correction have it, lag by lag."""
    n = len(x)
    run = max(5, int(np.log10(n)))
    longest = int(np.ceil(np.sqrt(n))) + run
    c = x - x.mean()
    gamma = [float(c[: n - k] @ c[k:]) / n for k in range(min(longest, n - 1) + 1)]
    rho = np.zeros(longest)
    for k in range(1, min(longest, n - 2) + 1):
        rho[k - 1] = abs((c[: n - k] @ c[k:]) / np.sqrt((c[: n - k] @ c[: n - k]) * (c[k:] @ c[k:])))
    bound = 2 * np.sqrt(np.log10(n) / n)
    quiet = next((m for m in range(longest - run + 1) if (rho[m : m + run] < bound).all()), None)
    m = longest if quiet is None else quiet + 1
    width = min(2 * m, longest)
    g = d = 0.0
    for k in range(1, min(width, len(gamma) - 1) + 1):
        weight = 1.0 if k / width <= 0.5 else 2 * (1 - k / width)
        g += 2 * weight * k * gamma[k]
        d += 2 * weight * gamma[k]
    spectrum = (gamma[0] + d) ** 2
    top = np.ceil(min(3 * np.sqrt(n), n / 3))
    return tuple(min(max((2 * g**2 / (share * spectrum) * n) ** (1 / 3), 1.0), top) for share in (2.0, 4.0 / 3.0))


@pytest.mark.parametrize("n", [10, 11, 12, 15, 30, 100, 400])
def test_block_length_lag_by_lag(n):
    for seed in range(8):
        x = ar1((0.0, 0.5, 0.9, 0.99)[seed % 4], n, seed)
        found = dependence.block_length(x)
        assert (found.stationary, found.circular) == pytest.approx(politis_white(x), rel=1e-9)


def test_extremal_index_by_hand():
    # Gaps 1, 1, 8: 2 * 7^2 / (3 * 7 * 6) = 7/9.
    found = dependence.extremal_index(np.array([5, 6, 7, 15]))
    assert (found.theta, found.widening) == pytest.approx((7 / 9, 3 / 7**0.5))
    assert found.exceedances == 4
    # No gap above 2, and evenly spaced ones: nothing clusters.
    for positions in ([1, 2, 3], [1, 3, 4, 6], [0, 50, 100, 150]):
        assert dependence.extremal_index(np.array(positions)).theta == 1.0


@pytest.mark.parametrize(("positions", "known"), [([], False), ([4, 9], False), ([4, 9, 30], True), ([4, 5, 6], True)])
def test_three_exceedances_have_an_index(positions, known):
    found = dependence.extremal_index(np.array(positions, dtype=np.int64))
    assert (found.reason is None) == known
    assert found.exceedances == len(positions)
    if not known:
        assert (found.theta, found.widening) == (1.0, 1.0)


@pytest.mark.parametrize("last", [[1.0, -1.0], [1.0, -2.0, 1.0]])
def test_blocks_of_a_series_that_begins_without_any_spread(last):
    # The first values are the mean itself, so that their own lags have no correlation.
    found = dependence.block_length(np.array([0.0] * 12 + last))
    assert 1.0 <= found.stationary <= 5.0
    assert 1.0 <= found.circular <= 5.0
