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
