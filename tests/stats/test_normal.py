"""The normal distribution against scipy 1.17."""

import numpy as np
import pytest
from scipy import stats

from gradlens.stats import normal


def test_cdf_and_survival_match_scipy_far_into_both_tails():
    z = np.linspace(-35.0, 35.0, 141)
    np.testing.assert_allclose(normal.normal_cdf(z), stats.norm.cdf(z), rtol=1e-12)
    np.testing.assert_allclose(normal.normal_sf(z), stats.norm.sf(z), rtol=1e-12)


def test_quantile_array_is_good_to_a_billionth():
    p = np.concatenate((np.geomspace(1e-12, 0.4, 50), np.linspace(0.4, 0.999, 50)))
    np.testing.assert_allclose(normal.normal_quantile(p), stats.norm.ppf(p), rtol=2e-9, atol=1e-9)


def test_quantile_array_handles_the_edges():
    np.testing.assert_array_equal(
        normal.normal_quantile(np.array([0.0, 1.0, -0.1, np.nan])), [-np.inf, np.inf, np.nan, np.nan]
    )


@pytest.mark.parametrize("p", [1e-12, 0.01, 0.3, 0.5, 0.975, 1.0 - 1e-9])
def test_scalar_quantile_is_exact(p):
    assert normal.quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-13, abs=1e-15)


@pytest.mark.parametrize("t", [-200.0, -40.0, -31.0, -29.0, -3.0, 0.0, 4.0])
def test_mills_ratio_and_log_cdf_do_not_underflow(t):
    assert normal.log_normal_cdf(t) == pytest.approx(stats.norm.logcdf(t), rel=1e-11)
    assert normal.mills_ratio(t) == pytest.approx(np.exp(stats.norm.logpdf(t) - stats.norm.logcdf(t)), rel=1e-8)
