import numpy as np
import pytest
from scipy import linalg, stats
from scipy.signal import lfilter

from gradlens.stats import clipping, dependence


@pytest.mark.parametrize(("clipped", "n", "low", "high"), [(10, 100, 0.0552, 0.1744), (0, 100, 0.0, 0.0370)])
def test_wilson_reference_intervals(clipped, n, low, high):
    found = clipping.wilson_interval(clipped / n, n)
    assert found == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize("n", [0.0, -1.0, np.nan])
def test_no_observation_says_nothing_of_a_rate(n):
    assert clipping.wilson_interval(0.0, n) == (0.0, 1.0)


def test_norms_from_one_end_of_floats_to_the_other():
    # No difference of two of them is a float.
    norm = np.tile([1e308, -1.7e308, 1.0, 2.0, 2.0], 8)
    found = clipping.clip_statistics(norm, 1.5)
    assert (found.clipped, found.n) == (24, 40)
    assert 1.0 <= found.n_effective <= 40.0


def test_autocorrelations_go_on_as_the_model_does():
    # An AR(2): rho_k = a rho_(k-1) + b rho_(k-2).
    a, b = 0.5, 0.3
    wanted = [a / (1 - b)]
    wanted.append(a * wanted[0] + b)
    while len(wanted) < 12:
        wanted.append(a * wanted[-1] + b * wanted[-2])
    found = clipping._continue_correlation(wanted[:2], [a, b], 12)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert len(clipping._continue_correlation([0.1, 0.01], [0.1, 0.0], 50)) < 10


def test_clipping_is_strictly_above_the_threshold():
    found = clipping.clip_statistics(np.array([0.5, 1.0, 1.0, 2.0]), 1.0)
    assert (found.clip_rate, found.clipped, found.one_in) == (0.25, 1, 4.0)
    assert found.shrink_factor == pytest.approx((1 + 1 + 1 + 0.5) / 4)


def test_nonfinite_norms_are_a_class_of_their_own():
    found = clipping.clip_statistics(np.array([np.nan, np.inf, -np.inf, 2.0, 0.5]), 1.0)
    assert (found.n, found.nonfinite, found.clip_rate) == (2, 3, 0.5)


def test_windows_carry_step_numbers_and_cover_the_run():
    norm = np.concatenate((np.full(100, 2.0), np.full(100, 0.5)))
    found = clipping.clip_statistics(norm, 1.0, step=np.arange(200) * 10 + 5, n_windows=4)
    assert [(w.first, w.last, w.clip_rate) for w in found.windows] == [
        (5, 495, 1.0),
        (505, 995, 1.0),
        (1005, 1495, 0.0),
        (1505, 1995, 0.0),
    ]


def test_rate_interval_and_effective_size_do_not_depend_on_the_unit():
    norm = np.exp(0.3 * lfilter([1], [1, -0.8], np.random.default_rng(0).standard_normal(1500)))
    a, b = clipping.clip_statistics(norm, 1.5), clipping.clip_statistics(norm * 1024.0, 1.5 * 1024.0)
    assert (a.clip_rate, a.interval, a.n_effective) == (b.clip_rate, b.interval, b.n_effective)


@pytest.mark.parametrize(("phi", "rate"), [(0.5, 0.1), (0.9, 0.1), (0.9, 0.02), (0.9, 0.5)])
def test_effective_steps_of_an_autoregression(phi, rate):
    threshold = stats.norm.isf(rate)
    correlation = clipping.orthant_covariance(phi ** np.arange(1.0, 400.0), threshold) / (rate * (1 - rate))
    exact = 5000 / (1 + 2 * correlation.sum())
    x = lfilter([1], [1, -phi], np.random.default_rng(1).standard_normal((20, 5500)), axis=1)[:, 500:]
    x *= np.sqrt(1 - phi**2)
    found = np.median([clipping.effective_steps(row, threshold) for row in x])
    assert found == pytest.approx(exact, rel=0.12)


def test_orthant_covariance_matches_the_bivariate_normal():
    for rho in (-0.7, 0.0, 0.3, 0.95):
        exact = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([-1.0, -1.0]) - stats.norm.cdf(-1.0) ** 2
        assert clipping.orthant_covariance(np.array([rho]), 1.0)[0] == pytest.approx(exact, abs=2e-6)


def test_equal_norms_share_a_score():
    norm = np.array([3.0, 1.0, 3.0, 2.0, 1.0, 3.0])
    scores = clipping._normal_scores(norm, np.argsort(norm))
    assert scores[0] == scores[2] == scores[5] > scores[3] > scores[1] == scores[4]
    assert scores.sum() == pytest.approx(0.0, abs=1e-12)


def test_stretches_are_measured_as_runs_of_their_own():
    norm = np.exp(np.random.default_rng(6).standard_normal(900))
    norm[[10, 500]] = np.nan, np.inf
    found = clipping.clip_statistics(norm, 1.5, phases=((0, 299), (300, 899)))
    for part in (*found.windows, *found.phases):
        alone = clipping.clip_statistics(norm[part.first : part.last + 1], 1.5, n_windows=1)
        assert (part.n, part.clip_rate, part.interval) == (alone.n, alone.clip_rate, alone.interval)


def test_few_effective_steps_are_said():
    norm = np.exp(np.cumsum(np.random.default_rng(0).standard_normal(400)) * 0.1)
    found = clipping.clip_statistics(norm, float(np.median(norm)))
    assert found.n_effective < 50
    assert found.rough
    assert not clipping.clip_statistics(np.random.default_rng(0).random(4000), 0.5).rough


def test_return_periods_are_exact_poisson_limits():
    found = clipping.return_period(3, 1000)
    low, high = stats.chi2.ppf(0.025, 6) / 2, stats.chi2.ppf(0.975, 8) / 2
    assert found.interval == (pytest.approx(1000 / high, rel=1e-9), pytest.approx(1000 / low, rel=1e-9))
    none = clipping.return_period(0, 1000)
    assert none.steps_between is None
    assert none.interval == (pytest.approx(1000 / 3.6889, rel=1e-4), None)
    many = clipping.return_period(500, 10_000)
    assert many.interval[0] == pytest.approx(10_000 / (stats.chi2.ppf(0.975, 1002) / 2), rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_interval_covers_the_true_rate(phi):
    rng = np.random.default_rng(7)
    x = lfilter([1], [1, -phi], rng.standard_normal((600, 1300)), axis=1)[:, 300:] * np.sqrt(1 - phi**2)
    threshold = stats.norm.isf(0.1)
    covered = 0
    for row in x:
        low, high = clipping.wilson_interval(float((row > threshold).mean()), clipping.effective_steps(row, threshold))
        covered += low <= 0.1 <= high
    assert 0.92 <= covered / 600 <= 0.98


def test_replay_is_what_each_threshold_would_have_done():
    norm = np.concatenate((np.exp(np.random.default_rng(3).standard_normal(500)), [0.0, np.nan, np.inf]))
    threshold = np.array([1e-6, 0.5, 1.0, 3.0, 1e3])
    rate, shrink = clipping.replay(norm, threshold)
    finite = norm[np.isfinite(norm)]
    assert rate == pytest.approx([np.mean(finite > c) for c in threshold])
    assert shrink == pytest.approx([clipping.shrink_factor(norm, c) for c in threshold])
    assert np.isnan(clipping.replay(np.array([np.nan]), threshold)).all()


@pytest.mark.parametrize(("rate", "n"), [(0.0, 30), (0.1, 50), (0.5, 7), (1.0, 12)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_intervals_match_scipy(rate, n, confidence):
    reference = stats.binomtest(round(rate * n), n).proportion_ci(confidence, method="wilson")
    found = clipping.wilson_interval(round(rate * n) / n, n, confidence)
    assert found == pytest.approx((reference.low, reference.high), abs=1e-9)


def yule_walker(gamma, n):
    """Coefficients of the order that BIC prefers, each order solved on its own."""
    best, lowest = np.zeros(0), n * np.log(gamma[0])
    for order in range(1, len(gamma)):
        phi = linalg.solve_toeplitz(gamma[:order], gamma[1 : order + 1])
        variance = gamma[0] - phi @ gamma[1 : order + 1]
        bic = n * np.log(variance) + order * np.log(n)
        if bic < lowest:
            best, lowest = phi, bic
    return best


@pytest.mark.parametrize("coefficients", [[0.5, 0.3], [1.2, -0.5], [0.1, 0.1, 0.6], [-0.4, 0.3]])
def test_autocorrelations_of_the_order_that_fits_best(coefficients):
    x = lfilter([1], [1, *(-c for c in coefficients)], np.random.default_rng(0).standard_normal(3300))[300:]
    gamma = dependence.autocovariance(x, 10)
    phi = yule_walker(gamma, 3000)
    assert len(phi) >= 2
    rho = list(gamma[1 : len(phi) + 1] / gamma[0])
    while len(rho) < 60:
        rho.append(sum(c * rho[-1 - j] for j, c in enumerate(phi)))
    found = clipping.autoregressive_correlation(gamma, 3000, 60)
    np.testing.assert_allclose(found, rho[: len(found)], atol=1e-9)
    assert len(found) == 60 or np.abs(found[-len(phi) :]).max() < 1e-5


def test_a_first_order_is_corrected_for_its_bias():
    gamma = 0.8 ** np.arange(11.0)
    phi = 0.8 + (1 + 3 * 0.8) / 500
    found = clipping.autoregressive_correlation(gamma, 500, 1000)
    np.testing.assert_allclose(found[:5], phi ** np.arange(1, 6))
    assert 1e-6 < found[-1] < 1.1e-5  # as far as it counts
    assert clipping.autoregressive_correlation(gamma, 500, 4).size == 4
    assert clipping.autoregressive_correlation(np.array([1.0, 0.0, 0.0]), 500, 10).size == 0
    assert clipping.autoregressive_correlation(np.zeros(5), 500, 10).size == 0
    # Never 1, whatever the correction adds.
    np.testing.assert_allclose(clipping.autoregressive_correlation(np.array([1.0, 0.9999]), 100, 50)[0], 0.99)


def test_normal_scores_by_hand():
    norm = np.array([3.0, 1.0, 2.0, 2.0])
    z = stats.norm.ppf([0.125, 0.375, 0.625, 0.875])
    found = clipping._normal_scores(norm, np.argsort(norm))
    np.testing.assert_allclose(found, [z[3], z[0], 0.0, 0.0], atol=1e-9)


def test_stretches_and_windows_by_hand():
    norm = np.array([1.0, 3.0] * 20 + [1.0] * 20)
    found = clipping.clip_statistics(norm, 2.0, n_windows=10, phases=[(0, 9), (40, 59)])
    assert [(w.first, w.last, w.clip_rate, w.n) for w in found.windows] == [
        (0, 19, 0.5, 20), (20, 39, 0.5, 20), (40, 59, 0.0, 20),
    ]  # fmt: skip
    assert [(w.first, w.last, w.clip_rate) for w in found.phases] == [(0, 9, 0.5), (40, 59, 0.0)]
    assert found.clip_rate == 1 / 3
    assert found.one_in == 3.0
    assert found.shrink_factor == pytest.approx((40 + 20 * 2 / 3) / 60)
    assert clipping.clip_statistics(norm[:19], 2.0).windows[0].last == 18


@pytest.mark.parametrize(("n", "rough"), [(49, True), (50, False)])
def test_fewer_than_fifty_independent_steps_are_few(n, rough):
    # Every other step clipped: as many as there are.
    norm = np.tile([1.0, 3.0], 25)[:n]
    assert clipping.clip_statistics(norm, 2.0).rough == rough


def test_shrinking_at_the_edges():
    assert clipping.shrink_factor(np.array([np.nan]), 1.0) is None
    assert clipping.shrink_factor(np.array([1.0, 4.0, np.inf]), 2.0) == 0.75
    assert clipping.shrink_factor(np.array([1.0, 4.0]), 0.0) == 0.0
    assert clipping.shrink_factor(np.array([0.0, -4.0]), 1.0) == 0.625
    rate, shrink = clipping.replay(np.array([0.0, 1.0, 4.0]), np.array([1.0, 2.0, 9.0]))
    np.testing.assert_allclose(rate, [1 / 3, 1 / 3, 0.0])
    np.testing.assert_allclose(shrink, [2.25 / 3, 2.5 / 3, 1.0])
