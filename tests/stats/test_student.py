"""Student's t and the binomial tail against scipy."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from gradlens.stats.student import binomial_sf, incomplete_beta, student_quantile, student_sf


@pytest.mark.parametrize("df", [0.7, 1, 2.5, 8, 100, 1e5])
@pytest.mark.parametrize("t", [-40.0, -3.0, 0.0, 0.5, 2.0, 12.0, 300.0])
def test_tail_agrees_with_scipy(t, df):
    assert student_sf(t, df) == pytest.approx(stats.t.sf(t, df), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("p", [0.0005, 0.025, 0.5, 0.9, 0.995])
@pytest.mark.parametrize("df", [1, 3.5, 30])
def test_quantile_agrees_with_scipy(p, df):
    assert student_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9, abs=1e-12)


def test_infinite_arguments():
    assert student_sf(math.inf, 5) == 0.0
    assert student_sf(-math.inf, 5) == 1.0
    assert student_sf(1.959963984540054, math.inf) == pytest.approx(0.025)
    assert math.isnan(student_sf(math.nan, 5))


@pytest.mark.parametrize(("count", "n", "p"), [(0, 10, 0.3), (5, 10, 0.3), (10, 10, 0.3), (3, 400, 0.001), (1, 1, 0.5)])
def test_binomial_tail_agrees_with_scipy(count, n, p):
    assert binomial_sf(count, n, p) == pytest.approx(stats.binom.sf(count - 1, n, p), rel=1e-9)


def test_incomplete_beta_at_its_ends():
    assert incomplete_beta(0.0, 2, 3) == 0.0
    assert incomplete_beta(1.0, 2, 3) == 1.0
