"""Student's t and the binomial tail against values of another implementation.

They come from mpmath 1.3.0 with 40 digits: `betainc(df/2, 1/2, 0, df/(df + t*t), regularized=True)/2`, its inverse by
`findroot`, and the sum of `binomial(n, k)*p**k*(1 - p)**(n - k)`.
"""

from __future__ import annotations

import math

import pytest

from gradlens.stats.student import binomial_sf, student_quantile, student_sf


@pytest.mark.parametrize(
    ("t", "df", "tail"),
    [
        (-40, 0.7, 0.9765016330606174), (-3, 8, 0.9914641593831087), (0, 2.5, 0.5), (0.5, 100, 0.3090867829154433),
        (2, 2.5, 0.078695747878983), (12, 8, 1.0719333738443856e-06), (12, 100, 2.197543857802189e-21),
        (300, 1, 0.0010610290242204859), (300, 8, 8.532553520769373e-18), (5, 1e5, 2.8713508393208365e-07),
    ],
)  # fmt: skip
def test_tail(t, df, tail):
    assert student_sf(t, df) == pytest.approx(tail, rel=1e-11)


@pytest.mark.parametrize(
    ("p", "df", "t"),
    [
        (0.0005, 1, -636.6192487687197), (0.025, 3.5, -2.94008863798273), (0.9, 30, 1.3104150253913955),
        (0.995, 3.5, 5.085702223091259), (0.9995, 30, 3.645958635042022),
    ],
)  # fmt: skip
def test_quantile(p, df, t):
    assert student_quantile(p, df) == pytest.approx(t, rel=1e-11)
    assert student_quantile(1 - p, df) == pytest.approx(-t, rel=1e-9)


def test_infinite_arguments():
    assert student_sf(math.inf, 5) == 0.0
    assert student_sf(-math.inf, 5) == 1.0
    assert student_sf(1.959963984540054, math.inf) == pytest.approx(0.025, rel=1e-12)
    assert student_quantile(0.975, math.inf) == pytest.approx(1.959963984540054, rel=1e-12)
    assert student_quantile(0.5, 3) == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(student_sf(math.nan, 5))


@pytest.mark.parametrize(
    ("count", "n", "p", "tail"),
    [
        (0, 10, 0.3, 1.0), (5, 10, 0.3, 0.1502683326), (10, 10, 0.3, 5.9049e-06), (3, 400, 0.001, 0.00788343125882217),
        (40, 50, 0.5, 1.1930665838377763e-05), (200, 400, 0.25, 6.121575056179021e-27), (1, 1, 0.5, 0.5),
    ],
)  # fmt: skip
def test_binomial_tail(count, n, p, tail):
    assert binomial_sf(count, n, p) == pytest.approx(tail, rel=1e-11)
