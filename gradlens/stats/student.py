"""Student's t distribution, without scipy.

``scipy.special`` costs more to import than a whole comparison of two runs. Checked against scipy in the tests.
"""

from __future__ import annotations

import math

_TINY = 1e-300


def student_sf(t: float, df: float) -> float:
    """Return P(T > t) for Student's t with ``df`` degrees of freedom, which need not be whole.

    P(abs(T) > t) is the regularised incomplete beta function I_x(df/2, 1/2) at x = df / (df + t^2) (Abramowitz and Stegun
    26.5.27). Infinite ``df`` is the normal distribution; ``t`` may be infinite.
    """
    if math.isnan(t) or math.isnan(df):
        return math.nan
    if math.isinf(df):
        return 0.5 * math.erfc(t / math.sqrt(2.0))
    tail = 0.0 if math.isinf(t) else 0.5 * incomplete_beta(df / (df + t * t), 0.5 * df, 0.5)
    return tail if t >= 0.0 else 1.0 - tail


def student_quantile(p: float, df: float) -> float:
    """Return the t that is exceeded with probability ``1 - p``, for p strictly between 0 and 1."""
    if p < 0.5:
        return -student_quantile(1.0 - p, df)
    low, high = 0.0, 1.0
    while student_sf(high, df) > 1.0 - p and high < 1e300:
        low, high = high, 2.0 * high
    # Bisection to rounding: monotone, and this is called a few times a comparison.
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if student_sf(middle, df) > 1.0 - p else (low, middle)
    return 0.5 * (low + high)


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) for 0 <= x <= 1 and positive a and b.

    Its continued fraction (Abramowitz and Stegun 26.5.8) by the algorithm of Lentz, on the side of the mean where it
    converges fast; relative error about 1e-14.
    """
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - incomplete_beta(1.0 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return math.exp(log_front) * fraction / a


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def binomial_sf(count: int, n: int, p: float) -> float:
    """Return P(N >= count) of a binomial count, which is I_p(count, n - count + 1)."""
    return 1.0 if count <= 0 else incomplete_beta(p, float(count), float(n - count + 1))
