"""The normal distribution, without scipy.

``scipy.special`` takes longer to import than an analysis of a short run spends in these functions by an order of magnitude
(``docs/dependencies.md``), so they live here. The tests check them against scipy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SQRT2 = math.sqrt(2.0)

# Acklam's rational approximation of the normal quantile (P. J. Acklam, 2003), relative error below 1.2e-9.
_CENTRE_NUMERATOR = (
    -3.969683028665376e01,
    2.209460984245205e02,
    -2.759285104469687e02,
    1.383577518672690e02,
    -3.066479806614716e01,
    2.506628277459239e00,
)
_CENTRE_DENOMINATOR = (
    -5.447609879822406e01,
    1.615858368580409e02,
    -1.556989798598866e02,
    6.680131188771972e01,
    -1.328068155288572e01,
    1.0,
)
_TAIL_NUMERATOR = (
    -7.784894002430293e-03,
    -3.223964580411365e-01,
    -2.400758277161838e00,
    -2.549732539343734e00,
    4.374664141464968e00,
    2.938163982698783e00,
)
_TAIL_DENOMINATOR = (7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e00, 3.754408661907416e00, 1.0)
_TAIL_BELOW = 0.02425


def normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(Z <= z) for every element of a float64 array of any shape."""
    return 0.5 * _erfc(-z / SQRT2)


def normal_sf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(Z > z) for every element, accurate far into the upper tail."""
    return 0.5 * _erfc(z / SQRT2)


def normal_quantile(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the normal quantile of every probability, with relative error below 1.2e-9.

    Parameters
    ----------
    p : float64 array of any shape
        Probabilities; 0 and 1 give minus and plus infinity, anything outside gives NaN.
    """
    p = np.asarray(p, dtype=np.float64)
    out = np.full(p.shape, np.nan)
    out[p == 0.0] = -np.inf
    out[p == 1.0] = np.inf
    centre = (p >= _TAIL_BELOW) & (p <= 1.0 - _TAIL_BELOW)
    d = p[centre] - 0.5
    out[centre] = d * np.polyval(_CENTRE_NUMERATOR, d * d) / np.polyval(_CENTRE_DENOMINATOR, d * d)
    for sign, tail in ((1.0, (p > 0.0) & (p < _TAIL_BELOW)), (-1.0, (p > 1.0 - _TAIL_BELOW) & (p < 1.0))):
        mass = p[tail] if sign > 0.0 else 1.0 - p[tail]
        r = np.sqrt(-2.0 * np.log(mass))
        out[tail] = sign * np.polyval(_TAIL_NUMERATOR, r) / np.polyval(_TAIL_DENOMINATOR, r)
    return out


def quantile(p: float) -> float:
    """Return the normal quantile of one probability strictly between 0 and 1, to machine precision.

    One Newton step on Acklam's start removes its remaining error. The upper half mirrors the lower one, because
    ``erfc`` keeps its relative accuracy in one tail only.
    """
    if p > 0.5:
        return -quantile(1.0 - p)
    z = float(normal_quantile(np.array([p]))[0])
    error = 0.5 * math.erfc(-z / SQRT2) - p
    return z - error * math.sqrt(2.0 * math.pi) * math.exp(0.5 * z * z)


def mills_ratio(t: float) -> float:
    """Return phi(t) / Phi(t), the hazard of the normal distribution at -t, for any finite t."""
    if t > -30.0:
        return math.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi) / (0.5 * math.erfc(-t / SQRT2))
    # Asymptotic series of the Mills ratio, accurate to 1e-10 here; erfc underflows from t = -38 on.
    s = 1.0 / (t * t)
    return -t / (1.0 - s * (1.0 - 3.0 * s * (1.0 - 5.0 * s)))


def log_normal_cdf(t: float) -> float:
    """Return ln P(Z <= t) for one finite t, without underflow."""
    if t > -30.0:
        return math.log(0.5 * math.erfc(-t / SQRT2))
    return -0.5 * t * t - 0.5 * math.log(2.0 * math.pi) - math.log(mills_ratio(t))


def _erfc(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply the complementary error function of the C library; numpy has none."""
    flat = np.asarray(x, dtype=np.float64).ravel()
    return np.fromiter(map(math.erfc, flat.tolist()), dtype=np.float64, count=flat.size).reshape(np.shape(x))
